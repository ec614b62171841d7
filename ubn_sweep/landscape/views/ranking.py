"""Which trials are best, and whether the best can be told from the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.numbers import binomial_error, expected_maximum

Z_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class RankedTrial:
    """A trial with the error of its score, and how it compares with the best."""

    trial: TrialView
    error: float | None
    """Standard error of the score."""
    behind: float
    """How much worse than the best, in the objective's unit."""
    tied: bool | None
    """Whether that is within 1.96 standard errors of the difference; None where no error is known."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Trials at the full budget, or those stopped early where none finished; never both."""

    full_budget: bool
    trials: tuple[RankedTrial, ...]
    error_from: str
    """What the standard errors come from, in words."""
    tied: int | None
    """How many trials, the best included, are not told from the best."""
    optimism: float | None
    """By how much the best score is too good if all the tied trials were equally good: standard error * E(max)."""


def ranked(sweep: SweepView) -> list[TrialView]:
    """Finished trials, best first, then the others by how far they came and how well they did there."""
    finished = sorted(sweep.finished, key=lambda t: (-sweep.metric.better(t.score), t.number))
    others = sorted(
        (trial for trial in sweep.unfinished if trial.status != "diverged"),
        key=lambda t: (-t.scored_epoch, -sweep.metric.better(t.last_score), t.number),
    )
    return finished + others


def ranking(sweep: SweepView) -> Ranking:
    """Ranks, with the error of the validation split or of the repeats.

    The trials share their validation examples, so their errors go together and differences are better known than
    the independent errors used here say: what is called distinguishable is so, the rest may be.
    """
    full = bool(sweep.finished)
    pool = ranked(sweep)[: len(sweep.finished)] if full else ranked(sweep)
    if not pool:
        return Ranking(
            full_budget=False, trials=(), error_from="no trial has a score", tied=None, optimism=None
        )
    best = pool[0]
    rows = tuple(_compared(sweep, best, trial) for trial in pool)
    tied = [row for row in rows if row.tied]
    error = rows[0].error
    return Ranking(
        full_budget=full,
        trials=rows,
        error_from=_error_from(sweep),
        tied=len(tied) if error is not None else None,
        optimism=None if error is None else error * expected_maximum(len(tied)),
    )


def _compared(sweep: SweepView, best: TrialView, trial: TrialView) -> RankedTrial:
    behind = sweep.metric.better(best.last_score) - sweep.metric.better(trial.last_score)
    errors = [score_error(sweep, item) for item in (best, trial)]
    if trial is best:
        return RankedTrial(trial=trial, error=errors[0], behind=0.0, tied=None if errors[0] is None else True)
    first, second = errors
    tied = None
    if first is not None and second is not None and trial.scored_epoch == best.scored_epoch:
        tied = behind <= Z_95 * math.hypot(first, second)
    return RankedTrial(trial=trial, error=second, behind=behind, tied=tied)


def score_error(sweep: SweepView, trial: TrialView) -> float | None:
    """Standard error of a trial's score as an estimate of what the config gives; None where it is unknown.

    Of a share: sqrt(p (1 - p) / n) over n validation examples, together with std / sqrt(repeats) over the repeats.
    How other metrics spread over the examples is not recorded.
    """
    if not sweep.metric.is_share:
        return None
    score, examples = trial.last_score, sweep.validation_examples
    binomial = binomial_error(score, examples) if examples is not None and 0 <= score <= 1 else None
    repeats = None
    if trial.repeat_std is not None and sweep.repeats > 1:
        repeats = trial.repeat_std / math.sqrt(sweep.repeats)
    known = [error for error in (binomial, repeats) if error is not None]
    return math.hypot(*known) if known else None


def _error_from(sweep: SweepView) -> str:
    if not sweep.metric.is_share:
        return f"the standard error of the {sweep.metric.label} is not recorded"
    parts = []
    if sweep.validation_examples is not None:
        number = f"{'' if sweep.validation_counted else 'about '}{sweep.validation_examples:,}"
        parts.append(f"the binomial error of {number} validation {sweep.task.example}s")
    if sweep.repeats > 1:
        parts.append(f"the spread over {sweep.repeats} repeats")
    return " and ".join(parts) if parts else f"the number of validation {sweep.task.example}s is not known"
