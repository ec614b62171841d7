"""Multiple comparison with the best: which trials are worse than the best one, all comparisons erring together.

The best of k trials was picked for its score, so that each comparison with it is a biased one. What is compared here is
the range of a set of trials with the range that chance gives to equally good ones; the worst trial leaves the set while
its distance from the best is more than 95% of those ranges (Hsu, Multiple Comparisons, 1996, chapter 4; stepping down
as in Westfall and Young, 1993). What it finds, and how often it errs: benchmarks/comparison_with_best.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.views.numbers import CONFIDENCE, binomial_error
from ubn_sweep.records.correctness import Bits

Array = npt.NDArray[np.float64]
DRAWS = 1000
BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What one trial brings to the comparison."""

    score: float
    """A share of the validation examples, higher is better."""
    examples: int
    bits: Bits | None
    """Which of them were right, (seeds, examples); None where that is not recorded."""
    seed_std: float | None = None
    """Sample standard deviation over its seeds; None for a single one."""
    seeds: int = 1

    @property
    def paired(self) -> bool:
        """Whether its bits are there, and those of its score."""
        if self.bits is None or self.bits.shape[1] != self.examples:
            return False
        return abs(float(self.bits.mean()) - self.score) * self.examples < 0.5


@dataclass(frozen=True, kw_only=True)
class WithTheBest:
    """How trials, best first, compare with the first of them."""

    undecided: int
    """How many of the first ones, the best included, are not told from the best."""
    optimism: float
    """By how much the best score is too good on average, since it was picked: over draws of other examples (and seeds,
    where their spread is known), the mean error of the one that leads. Where all are equally good, by a third more."""
    paired: int
    """How many were compared example by example; the others as if on examples of their own, which tells less."""


def compare_with_best(trials: Sequence[Compared], *, seed: int = 0) -> WithTheBest:
    """`trials` have one number of examples, and come best first; at least one."""
    scores = np.array([trial.score for trial in trials])
    draws = error_draws(trials, np.random.default_rng(seed))
    leaders = np.argmax(scores[:, None] + draws, axis=0)
    optimism = float(draws[leaders, np.arange(draws.shape[1])].mean())
    return WithTheBest(
        undecided=undecided(scores, draws),
        optimism=max(optimism, 0.0),
        paired=sum(trial.paired for trial in trials),
    )


def undecided(scores: Array, draws: Array) -> int:
    """How many of the first scores are not told from the first one; scores (k,) fall, draws (k, n) are their errors."""
    ranges = np.maximum.accumulate(draws, axis=0) - np.minimum.accumulate(draws, axis=0)
    limits = np.quantile(ranges, CONFIDENCE, axis=1, method="higher")
    left = len(scores)
    while left > 1 and scores[0] - scores[left - 1] > limits[left - 1]:
        left -= 1
    return left


def error_draws(trials: Sequence[Compared], generator: np.random.Generator) -> Array:
    """(trials, DRAWS): how far the scores may lie from what they estimate, errors of shared examples together.

    Trials whose bits are known draw by a Gaussian weight for each example, and one example's worth of noise each, so
    that two trials that differ in few examples are not called different too easily (6 against 0: p = 0.02, as exactly).
    The others draw their binomial errors, independently. Both add the seeds' spread over the root of their number,
    where there is one; without it the scores stand for these trainings, not for their configs.
    """
    examples = trials[0].examples
    weights = generator.standard_normal((examples, DRAWS)).astype(np.float32)
    own = generator.standard_normal((len(trials), DRAWS))
    draws = np.empty((len(trials), DRAWS))
    for begin in range(0, len(trials), BLOCK):
        block = trials[begin : begin + BLOCK]
        known = [index for index, trial in enumerate(block) if trial.paired]
        for index, trial in enumerate(block):
            error = 1 / examples if index in known else binomial_error(trial.score, examples)
            draws[begin + index] = error * own[begin + index]
        if known:
            rows = np.stack([_means(block[index]) for index in known])
            centred = rows - rows.mean(axis=1, keepdims=True)
            draws[[begin + index for index in known]] += centred @ weights / examples
    return draws + _seed_draws(trials, generator)


def _means(trial: Compared) -> npt.NDArray[np.float32]:
    """(examples,): of each example, the share of the seeds that got it right."""
    assert trial.bits is not None
    return trial.bits.mean(axis=0, dtype=np.float32)


def _seed_draws(trials: Sequence[Compared], generator: np.random.Generator) -> Array:
    """(trials, DRAWS), or 0 without seeds: one variance for all, pooled. Among the best alone it would be too small.

    The spread over the seeds holds what their networks' examples add by chance, which the other draws hold too: it is
    taken off. That the pooled variance is an estimate itself widens the draws, as Student's t does.
    """
    several = [trial for trial in trials if trial.seed_std is not None and trial.seeds > 1]
    if not several:
        return np.zeros((len(trials), 1))
    freedom = sum(trial.seeds - 1 for trial in several)
    spread = sum((trial.seeds - 1) * (trial.seed_std or 0.0) ** 2 for trial in several) / freedom
    by_chance = float(np.mean([_variance_by_chance(trial) for trial in several]))
    drawn = spread * freedom / generator.chisquare(freedom, DRAWS) - by_chance
    scale = np.sqrt(np.maximum(drawn, 0.0))
    roots = np.sqrt([trial.seeds for trial in trials])[:, None]
    return generator.standard_normal((len(trials), DRAWS)) * scale / roots


def _variance_by_chance(trial: Compared) -> float:
    """Of one seed's share about the mean of the seeds, by the examples alone; 0, and so too little, where unknown."""
    if not trial.paired or trial.bits is None:
        return 0.0
    return float(trial.bits.var(axis=0, ddof=1).sum()) / trial.examples**2
