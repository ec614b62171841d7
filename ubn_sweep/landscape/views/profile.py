"""The threshold's profiles at the full budget: the others at their best and on average, over the declared space.

Read from one model of all trials and epochs, stopped ones too. An adaptive sampler visits some regions more than others
and early stopping ends trials by their scores: means over the trials there are would be of that, and not of the space.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.check import CheckView
from ubn_sweep.landscape.views.gates import GatesView, gates_view, open_near
from ubn_sweep.landscape.views.levels import (
    BAND,
    BatchNormLevel,
    GateOff,
    batch_norm_level,
    gate_off,
    gate_off_region,
)
from ubn_sweep.landscape.views.modelled import EVIDENCE, Modelled
from ubn_sweep.landscape.views.threshold import GATE
from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.surrogate.profile import OTHERS, profiles

Floats = npt.NDArray[np.float64]
RULED_OUT = 0.10
"""A threshold is ruled out where it is among the best with a smaller probability than this."""
MARGIN_SHARE = 0.1
"""What is no practical difference: a tenth of what lies between the best and the median config."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """A profile at each place, with its 90% band, in the objective's own unit."""

    middle: tuple[float, ...]
    """Expected; no further than the band."""
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
    sure: float
    """Probability that no threshold is better by more than the margin."""


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
    gate_off: GateOff | None = None
    """None where the sweep never switches the gate."""
    batch_norm: BatchNormLevel | None = None
    """None where no trial of it finished."""
    gates: GatesView | None = None
    check: CheckView | None = None
    """A second opinion on the model's bands; None where it was not asked."""
    open_near: tuple[float, int] | None = None
    """Median share of open gates about the chosen threshold, and of how many finished trials."""


def profile_view(sweep: SweepView, modelled: Modelled | None = None) -> ProfileView:
    """Reads the sweep's model along the threshold's range, and off it with the gate switched off."""
    modelled = Modelled(sweep) if modelled is None else modelled
    scored, finished = modelled.counts(THRESHOLD)
    reason = _why_not(sweep) or modelled.why_not(THRESHOLD)
    if reason is not None:
        return ProfileView(reason=reason, trials=scored, finished=finished)
    space, model = modelled.space, modelled.model
    region = gate_off_region(space)
    found = profiles(model, THRESHOLD, bounds=sweep.metric.bounds, beside=() if region is None else (region,))
    x = tuple(float(space.coding.params(code)[THRESHOLD]) for code in _along(space, found.places))
    margin, evidence = MARGIN_SHARE * found.unit, modelled.evidence(THRESHOLD)
    place = choice_of(found.best)
    choice, gates = _choice(sweep, x, found.best, place, margin), gates_view(sweep)
    return ProfileView(
        reason=None,
        trials=scored,
        finished=finished,
        log=bool(sweep.space[THRESHOLD].get("log")),
        x=x,
        best=band_of(sweep, found.best),
        average=band_of(sweep, found.average),
        evidence=evidence,
        open=ranges(x, not_ruled_out(found.best, margin)),
        margin=margin,
        choice=choice,
        has_shape=is_claimed(found.best, margin, evidence),
        gate_off=None
        if region is None
        else _gate_off(modelled, found.best[:, place], found.beside[:, 0], evidence),
        batch_norm=batch_norm_level(sweep),
        gates=gates,
        open_near=open_near(sweep, gates, choice.x),
    )


def _gate_off(modelled: Modelled, on: Floats, off: Floats, evidence: float) -> GateOff:
    """The comparison; where it would be told, the gate's evidence is asked for, too."""
    found = gate_off(modelled.sweep, on, off)
    if not found.is_told or evidence >= EVIDENCE:
        return found
    return replace(found, is_evident=modelled.evidence(GATE) >= EVIDENCE)


def is_claimed(best: Floats, margin: float, evidence: float) -> bool:
    """Whether thresholds are said to be ruled out, from draws (draws, places)."""
    return evidence >= EVIDENCE and not not_ruled_out(best, margin).all()


def not_ruled_out(best: Floats, margin: float) -> npt.NDArray[np.bool_]:
    """(places,) from draws (draws, places): who is within the margin of the best in a tenth of the draws or more."""
    behind = best.max(axis=1, keepdims=True) - best
    held: npt.NDArray[np.bool_] = (behind <= margin).mean(axis=0) >= RULED_OUT
    return held


def choice_of(best: Floats) -> int:
    """The place whose expected distance from the best is the smallest, from draws (draws, places)."""
    return int(np.argmin((best.max(axis=1, keepdims=True) - best).mean(axis=0)))


def _why_not(sweep: SweepView) -> str | None:
    item = sweep.space.get(THRESHOLD, {})
    is_range = item.get("type") in ("float", "int") and item["low"] < item["high"]
    return None if is_range else "no range of thresholds was swept"


def _along(space: DeclaredSpace, places: Floats) -> Floats:
    codes = np.full((len(places), len(space.coding.names)), np.nan)
    codes[:, space.column(THRESHOLD)] = places
    return codes


def band_of(sweep: SweepView, draws: Floats) -> Band:
    """Mean and quantiles of draws (draws, places), higher is better, in the objective's own direction."""
    own = draws if sweep.metric.direction == "max" else -draws
    low, _, high = np.quantile(own, BAND, axis=0)
    # Medians would all be the floor wherever more than half of the draws lie there.
    middle = np.clip(own.mean(axis=0), low, high)
    return Band(middle=tuple(middle.tolist()), low=tuple(low.tolist()), high=tuple(high.tolist()))


def ranges(x: tuple[float, ...], held: npt.NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
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


def _choice(sweep: SweepView, x: tuple[float, ...], best: Floats, place: int, margin: float) -> Choice:
    behind = best.max(axis=1, keepdims=True) - best
    own = best[:, place] if sweep.metric.direction == "max" else -best[:, place]
    low, _, high = np.quantile(own, BAND)
    return Choice(
        x=x[place],
        score=float(own.mean()),
        low=float(low),
        high=float(high),
        loss=float(behind[:, place].mean()),
        most_loss=float(np.quantile(behind[:, place], 0.9)),
        sure=float((behind[:, place] <= margin).mean()),
    )
