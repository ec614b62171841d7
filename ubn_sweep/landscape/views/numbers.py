"""Small statistics that several parts share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
MIN_GROUP = 3


@dataclass(frozen=True, kw_only=True)
class GroupMean:
    """Mean of a group of scores, with Student's t interval for it."""

    n: int
    mean: float
    std: float | None
    """Sample standard deviation; None for fewer than two."""
    low: float | None
    """Bounds of the 95% interval of the mean; None for fewer than three."""
    high: float | None


def group_mean(values: Sequence[float]) -> GroupMean | None:
    """mean ± t(0.975, n - 1) * std / sqrt(n); None for an empty group."""
    n = len(values)
    if n == 0:
        return None
    mean = float(np.mean(values))
    std = float(np.std(values, ddof=1)) if n >= 2 else None
    if std is None or n < MIN_GROUP:
        return GroupMean(n=n, mean=mean, std=std, low=None, high=None)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * std / math.sqrt(n)
    return GroupMean(n=n, mean=mean, std=std, low=mean - half, high=mean + half)


def welch_difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    """Difference of the means, first - second, and the half width of its 95% interval (Welch's).

    None where a group has fewer than three values.
    """
    if min(len(first), len(second)) < MIN_GROUP:
        return None
    shares = [float(np.var(group, ddof=1)) / len(group) for group in (first, second)]
    difference = float(np.mean(first) - np.mean(second))
    total = sum(shares)
    if total == 0.0:
        return difference, 0.0
    freedom = total**2 / sum(
        share**2 / (len(group) - 1) for share, group in zip(shares, (first, second), strict=True)
    )
    return difference, float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * math.sqrt(total)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much better one group scores than another, and how well that is known."""

    n: int
    n_other: int
    better: float
    """Difference of the means, turned so that positive means better."""
    low: float
    high: float
    """Its 95% interval."""
    withheld: bool = False
    """Whether it is not to be told of, since it is found too often where nothing matters."""

    @property
    def is_shown(self) -> bool:
        """Whether chance does not explain it: the interval leaves 0 out."""
        return not self.withheld and (self.low > 0 or self.high < 0)


def group_difference(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Welch's comparison of two groups of scores of which more is better; None where one has fewer than three."""
    found = welch_difference(first, second)
    if found is None:
        return None
    better, half = found
    return Difference(n=len(first), n_other=len(second), better=better, low=better - half, high=better + half)


def binomial_error(share: float, examples: int) -> float:
    """Standard error sqrt(p * (1 - p) / n) of a share p of n examples, with p pulled off 0 and 1 by Agresti and
    Coull's two successes and two failures, so that a perfect score has an error too."""
    pulled = (share * examples + 2) / (examples + 4)
    return math.sqrt(pulled * (1 - pulled) / (examples + 4))


def expected_maximum(count: int) -> float:
    """Mean of the largest of `count` independent standard normal values (Blom's approximation)."""
    return 0.0 if count < 2 else float(stats.norm.ppf((count - 0.375) / (count + 0.25)))
