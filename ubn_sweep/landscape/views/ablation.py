"""From plain BatchNorm to the best UBN config, one change at a time: which of them pay, by the model.

Greedy: the next change is the one that the model expects most of. Biedenkapp et al., "Efficient Parameter Importance
Analysis via Ablation with Surrogates", AAAI 2017; Fawcett and Hoos, Journal of Heuristics 22, 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.baselines import SWITCHED_OFF, is_batch_norm
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.levels import BAND
from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.landscape.views.seen import coded
from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.texts import as_recorded, as_shown

Floats = npt.NDArray[np.float64]
DRAWS = 4000
ERRORS = 0.05
"""How often any change is told of where none matters: shared between the steps, and by two sides."""


@dataclass(frozen=True, kw_only=True)
class AblationStep:
    """One change, with those that it brings along: a gate brings its threshold."""

    keys: tuple[str, ...]
    change: str
    """`scaling: none to instance`."""
    score: float
    """Expected after it, at the full budget; the median."""
    low: float
    """Bounds of its 90% interval."""
    high: float
    gain: float
    """How much better than before it; the median."""
    gain_low: float
    gain_high: float
    better: float
    """Probability that it is a gain at all."""
    is_told: bool
    """Whether that, or its opposite, is surer than the number of steps asks for, and the data are clearly more likely
    with an influence of what was changed."""


@dataclass(frozen=True, kw_only=True)
class AblationView:
    """Empty, with the reason, where the space has no BatchNorm or there is no model."""

    reason: str | None
    begin: str = ""
    """What it starts from: a trial, or BatchNorm in the best config's other settings."""
    trial: int | None = None
    """The best UBN config."""
    start: float = 0.0
    """Expected of BatchNorm; the median."""
    start_low: float = 0.0
    start_high: float = 0.0
    steps: tuple[AblationStep, ...] = ()


def ablation_view(modelled: Modelled) -> AblationView:
    """The path between two configs, in joint draws from the model."""
    reason = modelled.why_not()
    if reason is not None:
        return AblationView(reason=reason)
    sweep, space, model = modelled.sweep, modelled.space, modelled.model
    layered = [trial for trial in sweep.finished if not is_batch_norm(trial.config)]
    if not layered or not any("norm.name" in trial.config for trial in layered):
        return AblationView(reason="no trial of UBN finished")
    codes = space.coding.codes([coded(sweep.space, trial.params) for trial in layered])
    best = layered[int(np.argmax(model.mean(codes)))]
    found = _start(sweep, best)
    if found is None:
        return AblationView(reason="the space has no plain BatchNorm")
    start, begin = found
    ends = space.existing(space.coding.codes([coded(sweep.space, p) for p in (start, best.params)]))
    path, order = _greedy(modelled, ends[0], ends[1])
    values = np.clip(
        model.scale.back(model.draws(path, DRAWS, np.random.default_rng(0))),
        sweep.metric.bounds[0],
        sweep.metric.bounds[1],
    )
    own = values if sweep.metric.direction == "max" else -values
    low, middle, high = np.quantile(own, BAND, axis=0)
    gains = np.diff(values, axis=1)
    gain_low, gain, gain_high = np.quantile(gains, BAND, axis=0)
    better, doubt = ((gains > 0) + 0.5 * (gains == 0)).mean(axis=0), ERRORS / (2 * max(len(order), 1))
    titles = sweep.titles(sweep.space)
    return AblationView(
        reason=None,
        begin=begin,
        trial=best.number,
        start=float(middle[0]),
        start_low=float(low[0]),
        start_high=float(high[0]),
        steps=tuple(
            AblationStep(
                keys=keys,
                change=_change(titles, keys, start, best.params),
                score=float(middle[place + 1]),
                low=float(low[place + 1]),
                high=float(high[place + 1]),
                gain=float(gain[place]),
                gain_low=float(gain_low[place]),
                gain_high=float(gain_high[place]),
                better=float(better[place]),
                is_told=not doubt < better[place] < 1 - doubt and any(map(modelled.matters, keys)),
            )
            for place, keys in enumerate(order)
        ),
    )


def _start(sweep: SweepView, best: TrialView) -> tuple[dict[str, object], str] | None:
    """BatchNorm's parameters: of its best finished trial, or the best config's with all parts switched off."""
    plain = [trial for trial in sweep.finished if is_batch_norm(trial.config)]
    if plain:
        trial = max(plain, key=lambda one: sweep.metric.better(one.score))
        return trial.params, trial.label
    params = dict(best.params)
    if "bn" in sweep.space.get("norm.name", {}).get("values", ()):
        params["norm.name"] = "bn"
    for key, off in SWITCHED_OFF.items():
        for value in sweep.space.get(key, {}).get("values", ()):
            if value in off:
                params[key] = as_recorded(value) if value is None else value
    if not is_batch_norm(best.config | params):
        return None
    return params, f"BatchNorm with the other settings of {best.label}"


def _greedy(modelled: Modelled, start: Floats, end: Floats) -> tuple[Floats, list[tuple[str, ...]]]:
    """(states, from start to end), and the parameters that each step changed."""
    space, model = modelled.space, modelled.model
    state, states, order = start, [start], []
    left = _units(modelled, start, end)
    while left:
        tried = np.stack([_changed(space, state, end, unit) for unit in left])
        place = int(np.argmax(model.mean(tried)))
        state = tried[place]
        states.append(state)
        order.append(tuple(space.coding.names[column] for column in left.pop(place)))
    return np.stack(states), order


def _units(modelled: Modelled, start: Floats, end: Floats) -> list[list[int]]:
    """Columns that differ, those together that exist for another's sake: the parent first."""
    names, space = modelled.space.coding.names, modelled.sweep.space
    same = (start == end) | (np.isnan(start) & np.isnan(end))
    differ = [column for column in range(len(names)) if not same[column]]
    parent_of: dict[int, int] = {}
    for column in differ:
        for parent in space[names[column]].get("when") or {}:
            if parent in names and names.index(parent) in differ:
                parent_of[column] = names.index(parent)
    units: dict[int, list[int]] = {column: [column] for column in differ if column not in parent_of}
    for column in parent_of:
        top = column
        while top in parent_of:
            top = parent_of[top]
        units[top].append(column)
    return list(units.values())


def _changed(space: DeclaredSpace, state: Floats, end: Floats, unit: list[int]) -> Floats:
    codes = state.copy()
    codes[unit] = end[unit]
    existing: Floats = space.existing(codes[None])[0]
    return existing


def _change(
    titles: dict[str, str], keys: tuple[str, ...], start: dict[str, object], end: dict[str, object]
) -> str:
    """`statistics gate: off to on (threshold 0.2)`; what the change brings along in brackets."""
    first, *rest = keys
    along = [f"{titles[key]} {_shown(end[key])}" for key in rest if key in end]
    text = f"{titles[first]}: {_shown(start.get(first, '·'))} to {_shown(end.get(first, '·'))}"
    return f"{text} ({', '.join(along)})" if along else text


def _shown(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else as_shown(value)
