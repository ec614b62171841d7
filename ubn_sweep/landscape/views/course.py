"""The sweep's course: what was spent on what, and when the best was found."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.read import STATUSES, SweepView, TrialView

Floats = npt.NDArray[np.float64]
SPREAD = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True)
class Best:
    """A new best among the trials at the full budget."""

    epochs_spent: int
    score: float
    trial: int


@dataclass(frozen=True, kw_only=True)
class AtEpoch:
    """The scores of all trials that have one at an epoch; stopped ones are part of the earlier epochs alone."""

    epoch: int
    n: int
    lowest: float
    """The middle nine tenths lie between this and `highest`."""
    low: float
    """The middle half lies between this and `high`."""
    median: float
    high: float
    highest: float
    best: float
    best_trial: int


@dataclass(frozen=True, kw_only=True)
class CourseView:
    """Counts and costs."""

    counts: dict[str, int]
    epochs_spent: int
    epochs_unstopped: int
    """What the same trials would have cost without early stopping; failed and diverged ones at what they took."""
    best_so_far: tuple[Best, ...]
    by_epoch: tuple[AtEpoch, ...]
    time_s: float | None
    """From the first epoch's record to the last's."""


def course_view(sweep: SweepView) -> CourseView:
    """Epochs spent, in the order in which they were recorded, against the best finished trial so far."""
    times_s = _each_epoch(sweep, lambda trial: trial.times_s.values())
    best: list[Best] = []
    for spent, trial in _ends(sweep, times_s):
        if not best or sweep.metric.better(trial.score) > sweep.metric.better(best[-1].score):
            best.append(Best(epochs_spent=spent, score=trial.score, trial=trial.number))
    unstopped = sum(
        sweep.max_epochs if trial.status == "stopped" else trial.last_epoch for trial in sweep.trials
    )
    return CourseView(
        counts={name: sum(t.status == name for t in sweep.trials) for name in STATUSES},
        epochs_spent=len(times_s),
        epochs_unstopped=unstopped,
        best_so_far=tuple(best),
        by_epoch=tuple(_by_epoch(sweep)),
        time_s=float(np.ptp(times_s)) if len(times_s) > 1 else None,
    )


def _ends(sweep: SweepView, times_s: Floats) -> Iterator[tuple[int, TrialView]]:
    """The best one's candidates as they came to their ends, each with how many epochs had been recorded by then."""
    candidates = {trial.number: trial for trial in sweep.candidates}
    number = _each_epoch(sweep, lambda trial: [trial.number] * len(trial.times_s))
    epoch = _each_epoch(sweep, lambda trial: trial.times_s)
    is_end = _each_epoch(
        sweep,
        lambda trial: [trial.number in candidates and epoch == trial.last_epoch for epoch in trial.times_s],
    )
    order = np.lexsort((epoch, number, times_s))
    for place in np.flatnonzero(is_end[order]):
        yield int(place) + 1, candidates[int(number[order[place]])]


def _by_epoch(sweep: SweepView) -> Iterator[AtEpoch]:
    scored = [trial for trial in sweep.trials if trial.curve]
    epoch = np.array([epoch for trial in scored for epoch in trial.curve], np.int64)
    score = np.array([score for trial in scored for score in trial.curve.values()])
    number = np.repeat([trial.number for trial in scored], [len(trial.curve) for trial in scored])
    better = score if sweep.metric.direction == "max" else -score
    order = np.lexsort((-number, better, epoch))  # the best last; of equals the first trial
    starts = np.flatnonzero(np.r_[True, np.diff(epoch[order]) != 0][: len(order)])
    for mine in np.split(order, starts[1:]) if len(order) else ():
        lowest, low, median, high, highest = np.quantile(score[mine], SPREAD).tolist()
        yield AtEpoch(
            epoch=int(epoch[mine[0]]),
            n=len(mine),
            lowest=lowest,
            low=low,
            median=median,
            high=high,
            highest=highest,
            best=float(score[mine[-1]]),
            best_trial=int(number[mine[-1]]),
        )


def _each_epoch(sweep: SweepView, of: Callable[[TrialView], Iterable[float]]) -> Floats:
    """One value for each recorded epoch, trial by trial."""
    return np.fromiter(itertools.chain.from_iterable(of(trial) for trial in sweep.trials), float)
