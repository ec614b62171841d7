"""Which trials have a result, and how results compare."""

from __future__ import annotations

import math

from ubn_sweep.sweep.deciding.trial import SweepTrial


def has_result(trial: SweepTrial) -> bool:
    """Whether a trial may be the best one: it came to its end, or early stopping's, and met the constraints."""
    return trial.status in ("completed", "stopped") and trial.epoch > 0 and trial.feasible


def rank(trial: SweepTrial) -> tuple[bool, float]:
    """Trials at full budget come before stopped ones: scores at different epochs do not compare."""
    return trial.status == "completed", trial.score


def below_all(score: float) -> float:
    """A number below all scores, the higher the better the score: for trials that break a constraint."""
    return -1e300 * (1 - (0.5 + math.atan(score) / math.pi))
