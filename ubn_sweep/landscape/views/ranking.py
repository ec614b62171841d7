"""Which trials are best, and whether the best can be told from the next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.comparison import Compared, WithTheBest, compare_with_best
from ubn_sweep.landscape.views.numbers import binomial_error
from ubn_sweep.records.correctness import Bits


@dataclass(frozen=True, kw_only=True)
class RankedTrial:
    """A trial with the error of its score, and how it compares with the best."""

    trial: TrialView
    error: float | None
    """Standard error of the score."""
    behind: float
    """How much worse than the best, in the objective's unit."""
    tied: bool | None
    """Whether it is not told from the best; None where no error is known, or its score is of another epoch."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Trials at the full budget, or those stopped early where none finished; never both."""

    full_budget: bool
    trials: tuple[RankedTrial, ...]
    error_from: str
    """What the standard errors come from, in words."""
    tied: int | None
    """How many trials, the best included, are not told from the best."""
    compared: int
    """How many trials, the best included, that is of: those with a score at the best one's epoch."""
    compared_by: str
    """What they were compared by, in words; empty where they were not."""
    seeds: int
    """How many each; from two on the comparison is of configs, else of these trainings alone."""
    optimism: float | None
    """By how much the best score is too good on average, since it was picked."""


def ranked(sweep: SweepView) -> list[TrialView]:
    """Finished trials, best first, then the others by how far they came and how well they did there.

    Those that did not meet the sweep's constraints are left out.
    """
    finished = sorted(sweep.candidates, key=lambda t: (-sweep.metric.better(t.score), t.number))
    others = sorted(
        (trial for trial in sweep.unfinished if trial.status != "diverged" and trial.feasible),
        key=lambda t: (-t.scored_epoch, -sweep.metric.better(t.last_score), t.number),
    )
    return finished + others


def ranking(sweep: SweepView, correct: Mapping[int, Bits] | None = None) -> Ranking:
    """Ranks, and compares all with the best at once.

    `correct` tells which validation examples the trials got right, by trial; without it, scores are compared as if
    each trial had been judged on examples of its own, which is safe but tells less.
    """
    full = bool(sweep.candidates)
    pool = ranked(sweep)[: len(sweep.candidates)] if full else ranked(sweep)
    with_best = [trial for trial in pool if trial.scored_epoch == pool[0].scored_epoch]
    found = _compared(sweep, with_best, {} if correct is None else correct)
    rows = []
    for place, trial in enumerate(pool):
        rows.append(
            RankedTrial(
                trial=trial,
                error=score_error(sweep, trial),
                behind=sweep.metric.better(pool[0].last_score) - sweep.metric.better(trial.last_score),
                tied=None if found is None or place >= len(with_best) else place < found.undecided,
            )
        )
    return Ranking(
        full_budget=full,
        trials=tuple(rows),
        error_from=_error_from(sweep) if pool else "no trial has a score",
        tied=None if found is None else found.undecided,
        compared=len(with_best),
        compared_by=_compared_by(sweep, found, len(with_best)),
        seeds=sweep.repeats,
        optimism=None if found is None else found.optimism,
    )


def _compared(sweep: SweepView, trials: list[TrialView], correct: Mapping[int, Bits]) -> WithTheBest | None:
    """None where no error of the scores is known."""
    examples = sweep.validation_examples
    if not trials or not sweep.metric.is_share or examples is None or sweep.metric.direction != "max":
        return None
    return compare_with_best(
        [
            Compared(
                score=trial.last_score,
                examples=examples,
                bits=correct.get(trial.number),
                seed_std=trial.repeat_std,
                seeds=sweep.repeats,
            )
            for trial in trials
        ]
    )


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
        parts.append(f"the binomial error of {_examples(sweep)}")
    if sweep.repeats > 1:
        parts.append(f"the spread over {sweep.repeats} repeats")
    return " and ".join(parts) if parts else f"the number of validation {sweep.task.example}s is not known"


def _compared_by(sweep: SweepView, found: WithTheBest | None, count: int) -> str:
    if found is None:
        return ""
    how = f"{_examples(sweep)}, "
    if found.paired == count:
        how += f"{sweep.task.example} by {sweep.task.example}"
    elif found.paired == 0:
        how += f"but not {sweep.task.example} by {sweep.task.example}, which was not recorded"
    else:
        how += f"{found.paired} of them {sweep.task.example} by {sweep.task.example}"
    return how


def _examples(sweep: SweepView) -> str:
    about = "" if sweep.validation_counted else "about "
    return f"{about}{sweep.validation_examples:,} validation {sweep.task.example}s"
