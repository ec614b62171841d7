"""What scores vary by: config, seed, images, split; what of that was measured, and what is not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.numbers import binomial_error
from ubn_sweep.records.correctness import Bits

Floats = npt.NDArray[np.float64]
MIN_TRIALS = 4
POWER = 1.96 + 0.84
"""Standard errors between two means that are told apart at 5% in four of five cases."""
MOST_SEEDS = 1000
SPLIT_KEY = "dataset.split_seed"


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """One source of variance."""

    name: str
    std: float | None
    """Standard deviation of one score by it; None where it was not measured."""
    share: float | None
    """Of the variances that were measured together."""
    how: str
    """What it was measured by, with n; or why it was not."""


@dataclass(frozen=True, kw_only=True)
class SeedsNeeded:
    """To tell the two best configs apart, if their difference is what it looks like."""

    first: int
    second: int
    """Trials."""
    difference: float
    seeds: int | None
    """Of each config; None where it takes more than a thousand, or the seeds' spread is not known."""
    why: str = ""
    """Why no number is said."""


@dataclass(frozen=True, kw_only=True)
class LedgerView:
    """Empty with fewer than four finished trials."""

    n: int
    entries: tuple[LedgerEntry, ...]
    needed: SeedsNeeded | None


def ledger_view(sweep: SweepView, correct: Mapping[int, Bits]) -> LedgerView:
    """From the finished trials, at the full budget."""
    finished = sorted(sweep.finished, key=lambda trial: (-sweep.metric.better(trial.score), trial.number))
    if len(finished) < MIN_TRIALS:
        return LedgerView(n=len(finished), entries=(), needed=None)
    seed_std, seed_how = _seeds(sweep, finished)
    images_std, images_how = _images(sweep, finished)
    between = _between(finished)
    shared = 0.0 if seed_std is None else seed_std**2 / sweep.repeats
    config = math.sqrt(max(between - shared - _by_images(finished, correct), 0.0))
    splits = {trial.config.get(SPLIT_KEY) for trial in finished}
    name = "config" if seed_std is not None else "config, and seed with it"
    raw = (
        (name, config, f"the spread of {len(finished)} finished trials, less what follows"),
        ("seed", seed_std, seed_how),
        (f"{sweep.task.example}s", images_std, images_how),
        ("split", None, _split_how(len(splits))),
    )
    total = sum(std**2 for _, std, _ in raw if std is not None)
    return LedgerView(
        n=len(finished),
        entries=tuple(
            LedgerEntry(
                name=label, std=std, share=None if std is None or total == 0 else std**2 / total, how=how
            )
            for label, std, how in raw
        ),
        needed=_needed(sweep, finished, seed_std),
    )


def replicates(sweep: SweepView, trials: list[TrialView]) -> list[list[TrialView]]:
    """Trials that differ in their seed alone, two or more each."""
    found: dict[str, list[TrialView]] = {}
    for trial in trials:
        config = {key: value for key, value in trial.config.items() if key != "seed"}
        found.setdefault(repr(sorted(config.items())), []).append(trial)
    return [same for same in found.values() if len(same) > 1]


def _seeds(sweep: SweepView, finished: list[TrialView]) -> tuple[float | None, str]:
    """Standard deviation of one training over seeds, pooled over all configs that were trained with several."""
    stds = [trial.repeat_std for trial in finished if trial.repeat_std is not None]
    if sweep.repeats > 1 and stds:
        pooled = math.sqrt(float(np.mean(np.square(stds))))
        return pooled, f"{sweep.repeats} repeats of {len(stds)} configs"
    same = replicates(sweep, finished)
    freedom = sum(len(group) - 1 for group in same)
    if freedom == 0:
        return None, "not known: no config was trained with two seeds"
    squares = sum(float(np.var([t.score for t in group], ddof=1)) * (len(group) - 1) for group in same)
    return math.sqrt(squares / freedom), f"{len(same)} configs trained with {freedom + len(same)} seeds"


def _images(sweep: SweepView, finished: list[TrialView]) -> tuple[float | None, str]:
    example = sweep.task.example
    if not sweep.metric.is_share:
        return None, f"not known: how the {sweep.metric.label} spreads over {example}s is not recorded"
    if sweep.validation_examples is None:
        return None, f"not known: the number of validation {example}s is not recorded"
    variances = [binomial_error(trial.score, sweep.validation_examples) ** 2 for trial in finished]
    about = "" if sweep.validation_counted else "about "
    how = f"binomial, of {about}{sweep.validation_examples:,} validation {example}s"
    return math.sqrt(float(np.mean(variances))), how


def _between(finished: list[TrialView]) -> float:
    """Variance of the scores over the trials; all of them were judged on the same images."""
    return float(np.var([trial.score for trial in finished], ddof=1))


def _by_images(finished: list[TrialView], correct: Mapping[int, Bits]) -> float:
    """What of that other images would have made different: from the images on which the trials differ; 0 without."""
    bits = [correct[trial.number].mean(axis=0) for trial in finished if trial.number in correct]
    if len(bits) < len(finished) or len({len(row) for row in bits}) != 1:
        return 0.0
    right = np.array(bits)
    apart = right - right.mean(axis=0)
    k, examples = apart.shape
    return float(apart.var(axis=1).mean() / examples * k / (k - 1))


def _split_how(splits: int) -> str:
    if splits > 1:
        return f"not known: {splits} splits, not crossed with configs"
    return "not known: all trials share one split into training and validation"


def _needed(sweep: SweepView, finished: list[TrialView], seed_std: float | None) -> SeedsNeeded | None:
    """n >= 2 (z s / d)^2 for each of two means of n, s the seeds' spread and d their difference."""
    first = finished[0]
    same = next((group for group in replicates(sweep, finished) if first in group), [first])
    second = next((trial for trial in finished[1:] if trial not in same), None)
    if second is None:
        return None
    difference = abs(first.score - second.score)
    found = SeedsNeeded(first=first.number, second=second.number, difference=difference, seeds=None)
    if seed_std is None:
        return SeedsNeeded(**{**vars(found), "why": "no config was trained with two seeds"})
    count = math.inf if difference == 0 else 2 * (POWER * seed_std / difference) ** 2
    if count > MOST_SEEDS:
        return SeedsNeeded(**{**vars(found), "why": f"it takes more than {MOST_SEEDS:,}"})
    return SeedsNeeded(**{**vars(found), "seeds": max(math.ceil(count), 2)})
