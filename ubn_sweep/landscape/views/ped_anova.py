"""PED-ANOVA: how much the values of a parameter among the best trials differ from those among all.

The Pearson divergence between two densities on a grid, each a Parzen estimate with Scott's bandwidth, of conditional
parameters within the trials in which they are active: Watanabe et al., arXiv 2304.10255, and arXiv 2601.20800.
The same numbers as Optuna's `PedAnovaImportanceEvaluator` gives (tests compare them); that one goes through objects of
all trials for each evaluation, of which a report takes hundreds, and so minutes for a thousand trials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
STEPS = 50
PRIOR_WEIGHT = 1.0
INACTIVE = -1
LEAST = 1e-12
NARROWEST = 0.5 / 1.64
"""Of kernels, in cells: 90% of one lie in its cell."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One parameter's values in all trials, as cells of a grid."""

    cells: Ints
    """(trials,); INACTIVE where the parameter was not active."""
    size: int
    is_ordered: bool

    def take(self, picks: Ints) -> Column:
        """The same of some trials, which may be repeated."""
        return Column(cells=self.cells[picks], size=self.size, is_ordered=self.is_ordered)


def numeric_column(values: Floats, low: float, high: float, *, log: bool, whole: bool) -> Column:
    """Of numbers between two bounds; NaN where inactive. `whole` ones have cells of their own where those are few."""
    size = STEPS
    if whole and log:
        size = min(math.ceil(math.log2(high - low + 1)) + 1, STEPS)
    elif whole:
        size = min(round(high - low) + 1, STEPS)
    scaled = np.log(values) if log else values
    begin, end = (math.log(low), math.log(high)) if log else (low, high)
    width = (end - begin) / (size - 1)
    cells = np.full(len(values), INACTIVE)
    is_active = np.isfinite(scaled)
    found = np.ceil((scaled[is_active] - begin) / width - 0.5).astype(np.int64)
    cells[is_active] = np.clip(found, 0, size - 1)
    return Column(cells=cells, size=size, is_ordered=True)


def importances(columns: list[Column], scores: Floats, top_share: float) -> Floats:
    """(columns,) for scores (trials,), higher is better: of being among the best share. 0 means no influence."""
    losses = -scores
    place = math.ceil(top_share * len(losses)) - 1
    is_top = losses <= np.partition(losses, place)[place]
    return np.array([_importance(column, is_top) for column in columns])


def _importance(column: Column, is_top: npt.NDArray[np.bool_]) -> float:
    is_active = column.cells != INACTIVE
    n, n_top = len(is_top), int(is_top.sum())
    active, active_top = int(is_active.sum()), int((is_active & is_top).sum())
    if active < 2 or active_top == 0:
        return 0.0
    of_all = _density(column, np.bincount(column.cells[is_active], minlength=column.size))
    of_top = _density(column, np.bincount(column.cells[is_active & is_top], minlength=column.size))
    divergence = float(of_all @ (of_top / of_all - 1) ** 2)
    return (n_top / n) ** 2 * (active_top / n_top) ** 2 / (active / n) * divergence


def _density(column: Column, counts: Ints) -> Floats:
    """Of the cells, from how many trials lie in each; a uniform prior counts as one more."""
    seen = np.flatnonzero(counts)
    kernels = (
        _ordered_kernels(seen, counts[seen], column.size)
        if column.is_ordered
        else _kernels(seen, column.size)
    )
    weights = np.append(counts[seen], PRIOR_WEIGHT)
    found: Floats = weights @ kernels / weights.sum() + LEAST
    return found


def _kernels(seen: Ints, size: int) -> Floats:
    """(seen and prior, cells) of values without an order."""
    kernels = np.full((len(seen) + 1, size), PRIOR_WEIGHT / (len(seen) + 1))
    kernels[np.arange(len(seen)), seen] += 1
    found: Floats = kernels / kernels.sum(axis=1, keepdims=True)
    return found


def _ordered_kernels(seen: Ints, counts: Ints, size: int) -> Floats:
    """Normal ones, cut off at the grid's ends, by what of them lies in each cell."""
    total, until = int(counts.sum()), np.cumsum(counts)
    mean = float(seen @ counts) / total
    spread = math.sqrt(float((seen - mean) ** 2 @ counts) / max(1, total - 1))
    first = np.searchsorted(until, total // 4, side="left")
    third = min(len(seen) - 1, int(np.searchsorted(until, total * 3 // 4, side="right")))
    width = 1.059 * min((seen[third] - seen[first]) / 1.34, spread) * total**-0.2
    middles = np.append(seen, (size - 1) / 2)[:, None]
    widths = np.append(np.full(len(seen), max(width, NARROWEST)), size)[:, None]
    edges = ndtr((np.arange(size + 1) - 0.5 - middles) / widths)
    found: Floats = np.diff(edges, axis=1) / (edges[:, -1:] - edges[:, :1])
    return found
