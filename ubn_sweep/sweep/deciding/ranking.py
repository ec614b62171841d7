"""Which trials have a result, and how results compare."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ubn_sweep.records.fronts import best_first, front
from ubn_sweep.sweep.deciding.trial import SweepTrial


def has_result(trial: SweepTrial) -> bool:
    """Whether a trial may be the best one: it came to its end, or early stopping's, and met the constraints."""
    return trial.status in ("completed", "stopped") and trial.epoch > 0 and trial.feasible


def rank(trial: SweepTrial) -> tuple[bool | float, ...]:
    """Trials at full budget come before stopped ones: scores at different epochs do not compare.

    Of two objectives the first leads, so that the first in rank is an end of the front.
    """
    return trial.status == "completed", *trial.scores


def front_of(trials: Iterable[SweepTrial]) -> list[SweepTrial]:
    """The trials at full budget that no other one beats in both objectives, the best in the first one first.

    With one objective that is the best alone.
    """
    done = [trial for trial in trials if trial.status == "completed" and has_result(trial)]
    if any(trial.second is None for trial in done):
        return [max(done, key=rank)]
    return [done[place] for place in front([(trial.score, trial.second or 0.0) for trial in done])]


def in_order(trials: Iterable[SweepTrial]) -> list[SweepTrial]:
    """Of one status, best first; with two objectives front by front, each spread over its whole width."""
    pool = sorted(trials, key=rank, reverse=True)
    if any(trial.second is None for trial in pool):
        return pool
    return [pool[place] for place in best_first([(trial.score, trial.second or 0.0) for trial in pool])]


def below_all(score: float) -> float:
    """A number below all scores, the higher the better the score: for trials that break a constraint."""
    return -1e300 * (1 - (0.5 + math.atan(score) / math.pi))
