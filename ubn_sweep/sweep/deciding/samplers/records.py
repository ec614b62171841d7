"""What a study knows, as rows for the model."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState

from ubn_sweep.surrogate.process import Rows

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Point:
    """The value of one trial (its place in a list of trials) after some epochs."""

    trial: int
    epoch: float
    value: float


def considered(trials: Sequence[FrozenTrial], limit: int) -> list[FrozenTrial]:
    """All trials up to a limit; beyond it the running ones, the best half of the limit, and the newest."""
    if len(trials) <= limit:
        return list(trials)
    order = sorted(trials, key=lambda t: (t.state != TrialState.RUNNING, -_standing(t), t.number))
    chosen = {t.number for t in order[: limit // 2]}
    for trial in reversed(trials):
        if len(chosen) < limit:
            chosen.add(trial.number)
    return [trial for trial in trials if trial.number in chosen]


def _standing(trial: FrozenTrial) -> float:
    """The value of a complete trial, the last one of a stopped trial."""
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED) or trial.values is None:
        return -math.inf
    first = float(trial.values[0])  # of two objectives the leading one
    return first if math.isfinite(first) else -math.inf


def epoch_grid(rung_levels: Sequence[int], end: int) -> list[float]:
    """1, the rungs and the end, and the geometric middle between neighbours."""
    marks = sorted({1.0, *(float(level) for level in rung_levels if level < end), float(end)})
    middles = [math.sqrt(a * b) for a, b in itertools.pairwise(marks)]
    return sorted({*marks, *middles})


def points_of(trials: Sequence[FrozenTrial], rung_levels: Sequence[int], end: int) -> list[Point]:
    """The points of all trials, thinned to the grid and each trial's last report; `end` is the last epoch.

    A complete trial without intermediate values (known from elsewhere) has its value at the last epoch.
    A trial that diverged, or broke a constraint, counts as ending at the worst value of all, whatever it had reached;
    one that failed at the lower quartile: a region that fails is not asked for again and again, and one broken machine
    does not condemn a good one.
    """
    grid = epoch_grid(rung_levels, end)
    points: list[Point] = []
    for place, trial in enumerate(trials):
        finite = {e: v for e, v in trial.intermediate_values.items() if math.isfinite(v)}
        if not finite and trial.state == TrialState.COMPLETE and trial.value is not None:
            finite = {end: trial.value}
        points += [
            Point(trial=place, epoch=max(1.0, e), value=finite[e]) for e in _thinned(sorted(finite), grid)
        ]
    if points:
        last = {point.trial: point.value for point in points}
        worst, poor = min(last.values()), poor_value(list(last.values()))
        points += [
            Point(trial=place, epoch=end, value=worst if has_diverged(trial) else poor)
            for place, trial in enumerate(trials)
            if trial.state == TrialState.FAIL
        ]
    return points


def _thinned(epochs: Sequence[int], grid: Sequence[float]) -> list[int]:
    """The first epoch at or after each mark of the grid, and the last one."""
    if not epochs:
        return []
    places = np.searchsorted(epochs, grid)
    return sorted({epochs[i] for i in places if i < len(epochs)} | {epochs[-1]})


def poor_value(last_values: Sequence[float]) -> float:
    """What a trial without a result counts as: the lower quartile of the last values of all trials."""
    return float(np.quantile(last_values, 0.25))


def has_diverged(trial: FrozenTrial) -> bool:
    """Whether a trial's last value is no number."""
    values = trial.intermediate_values
    return bool(values) and not math.isfinite(values[max(values)])


def standardised(values: Floats) -> Floats:
    """Values on the scale of their better half, with the far lower tail drawn in logarithmically.

    z = (value - median) / rms of the upper half's distance; below -2: -2 - log(1 + (-2 - z)). Sweeps look for
    the top; diverged trials and losses of 1e6 must not flatten it. The result has mean 0.
    """
    middle = np.median(values)
    above = values[values >= middle] - middle
    scale = max(float(np.sqrt(np.mean(above**2))), 1e-12 * max(1.0, abs(float(middle))))
    z = (values - middle) / scale
    z = np.where(z < -2, -2 - np.log1p(np.maximum(-2 - z, 0)), z)
    return z - z.mean()


def kept(points: Sequence[Point], limit: int) -> list[Point]:
    """At most `limit` points: of the best trials every point, of the others the last, the worst left out.

    A trial's standing is its last value; a trial that was stopped early ranks by what it had then.
    """
    if len(points) <= limit:
        return list(points)
    by_trial: dict[int, list[Point]] = {}
    for point in points:
        by_trial.setdefault(point.trial, []).append(point)
    order = sorted(by_trial, key=lambda trial: (-by_trial[trial][-1].value, trial))
    chosen = [by_trial[trial][-1] for trial in _spread(order, limit * 3 // 4)]
    has_last = {point.trial for point in chosen}
    for trial in order:
        more = by_trial[trial][:-1]
        if trial in has_last and len(chosen) + len(more) <= limit:
            chosen += more
    return sorted(chosen, key=lambda point: (point.trial, point.epoch))


def _spread(order: Sequence[int], limit: int) -> list[int]:
    """The better half of `limit` from the top, the other half evenly from the rest."""
    if len(order) <= limit:
        return list(order)
    top, rest = order[: limit // 2], order[limit // 2 :]
    places = np.linspace(0, len(rest) - 1, limit - len(top)).round().astype(int)
    return [*top, *(rest[i] for i in places)]


def rows_of(points: Sequence[Point], x: Floats) -> Rows:
    """Points as the model takes them; x are the features of all trials."""
    trial = np.array([point.trial for point in points])
    return Rows(
        x=x[trial],
        t=np.log([point.epoch for point in points]),
        trial=trial,
        y=standardised(np.array([point.value for point in points])),
    )


def unended(trials: Sequence[FrozenTrial], limit: int = 200) -> npt.NDArray[np.int64]:
    """The places of the newest trials that have not reached the end: running ones, and stopped ones.

    A stopped configuration would be stopped again, and its end never seen: what is not known about it is no
    reason to ask for it once more.
    """
    open_states = (TrialState.RUNNING, TrialState.PRUNED)
    return np.array([i for i, t in enumerate(trials) if t.state in open_states], dtype=np.int64)[-limit:]
