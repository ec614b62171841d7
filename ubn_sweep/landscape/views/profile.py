"""The threshold's profiles at the full budget: the others at their best and on average, over the declared space.

Read from one model of all trials and epochs, stopped ones too. An adaptive sampler visits some regions more than others
and early stopping ends trials by their scores: means over the trials there are would be of that, and not of the space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.needs import PROFILE_TRIALS, THRESHOLD
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.seen import seen_of, space_of
from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.surrogate.last_epoch import LastEpochModel
from ubn_sweep.surrogate.profile import OTHERS, profiles

Floats = npt.NDArray[np.float64]
BAND = (0.05, 0.5, 0.95)
RULED_OUT = 0.10
"""A threshold is ruled out where it is among the best with a smaller probability than this."""
MARGIN_SHARE = 0.1
"""What is no practical difference: a tenth of what lies between the best and the median config."""
EVIDENCE = 5.0
"""How much more likely (in logarithms) the data must be with an influence of the threshold than without any."""
MIN_FINISHED = 3


@dataclass(frozen=True, kw_only=True)
class Band:
    """A profile at each place, with its 90% band, in the objective's own unit."""

    middle: tuple[float, ...]
    """Medians."""
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Where to set the threshold, and what being wrong would cost."""

    x: float
    score: float
    """Expected, with the others at their best."""
    low: float
    high: float
    """Bounds of its 90% interval."""
    loss: float
    """Expected difference to the best threshold, whichever that is."""
    most_loss: float
    """What that difference does not exceed with a probability of 90%."""


@dataclass(frozen=True, kw_only=True)
class ProfileView:
    """Both profiles, and the thresholds that are not ruled out."""

    reason: str | None
    """Why nothing is said; null where there are profiles."""
    trials: int
    """With a threshold and a score."""
    finished: int
    log: bool = False
    x: tuple[float, ...] = ()
    best: Band | None = None
    average: Band | None = None
    evidence: float = 0.0
    """Log of how much more likely the data are with an influence of the threshold than without any."""
    open: tuple[tuple[float, float], ...] = ()
    """Ranges of thresholds that are not ruled out at 90%, but for the margin."""
    margin: float = 0.0
    choice: Choice | None = None
    has_shape: bool = False
    """Whether some threshold is ruled out, and the data are clearly more likely with an influence than without."""
    averaged: int = OTHERS
    """Points of the other parameters that were averaged over."""


def profile_view(sweep: SweepView) -> ProfileView:
    """Reads the model along the threshold's range."""
    scored = [trial for trial in sweep.trials if trial.curve and THRESHOLD in trial.params]
    finished = [trial for trial in sweep.finished if THRESHOLD in trial.params]
    reason = _why_not(sweep, len(scored), len(finished))
    if reason is not None:
        return ProfileView(reason=reason, trials=len(scored), finished=len(finished))
    space = space_of(sweep)
    model = LastEpochModel(space, seen_of(sweep, space), max_epochs=sweep.max_epochs)
    found = profiles(model, THRESHOLD, bounds=sweep.metric.bounds)
    axis = [space.coding.params(code) for code in _along(space, found.places)]
    x = tuple(float(params[THRESHOLD]) for params in axis)
    margin, evidence = MARGIN_SHARE * found.unit, model.evidence(THRESHOLD)
    return ProfileView(
        reason=None,
        trials=len(scored),
        finished=len(finished),
        log=bool(sweep.space[THRESHOLD].get("log")),
        x=x,
        best=_band(sweep, found.best),
        average=_band(sweep, found.average),
        evidence=evidence,
        open=_ranges(x, not_ruled_out(found.best, margin)),
        margin=margin,
        choice=_choice(sweep, x, found.best),
        has_shape=is_claimed(found.best, margin, evidence),
    )


def is_claimed(best: Floats, margin: float, evidence: float) -> bool:
    """Whether thresholds are said to be ruled out, from draws (draws, places)."""
    return evidence >= EVIDENCE and not not_ruled_out(best, margin).all()


def not_ruled_out(best: Floats, margin: float) -> npt.NDArray[np.bool_]:
    """(places,) from draws (draws, places): who is within the margin of the best in a tenth of the draws or more."""
    behind = best.max(axis=1, keepdims=True) - best
    held: npt.NDArray[np.bool_] = (behind <= margin).mean(axis=0) >= RULED_OUT
    return held


def _why_not(sweep: SweepView, scored: int, finished: int) -> str | None:
    item = sweep.space.get(THRESHOLD, {})
    if item.get("type") not in ("float", "int") or not item["low"] < item["high"]:
        return "no range of thresholds was swept"
    if scored < PROFILE_TRIALS:
        return f"{scored} of {PROFILE_TRIALS} trials that it takes"
    if finished < MIN_FINISHED:
        return f"{finished} of {MIN_FINISHED} finished trials that it takes"
    return None


def _along(space: DeclaredSpace, places: Floats) -> Floats:
    codes = np.full((len(places), len(space.coding.names)), np.nan)
    codes[:, space.column(THRESHOLD)] = places
    return codes


def _band(sweep: SweepView, draws: Floats) -> Band:
    own = draws if sweep.metric.direction == "max" else -draws
    low, middle, high = (tuple(values.tolist()) for values in np.quantile(own, BAND, axis=0))
    return Band(middle=middle, low=low, high=high)


def _ranges(x: tuple[float, ...], held: npt.NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """Runs of places that are held, from their first to their last."""
    found: list[tuple[float, float]] = []
    begin: int | None = None
    for place in range(len(x) + 1):
        is_held = place < len(x) and bool(held[place])
        if is_held and begin is None:
            begin = place
        elif not is_held and begin is not None:
            found.append((x[begin], x[place - 1]))
            begin = None
    return tuple(found)


def _choice(sweep: SweepView, x: tuple[float, ...], best: Floats) -> Choice:
    behind = best.max(axis=1, keepdims=True) - best
    place = int(np.argmin(behind.mean(axis=0)))
    own = best[:, place] if sweep.metric.direction == "max" else -best[:, place]
    low, _, high = np.quantile(own, BAND)
    return Choice(
        x=x[place],
        score=float(own.mean()),
        low=float(low),
        high=float(high),
        loss=float(behind[:, place].mean()),
        most_loss=float(np.quantile(behind[:, place], 0.9)),
    )
