"""What early scores are worth: trials drawn at random and never stopped, early against the end.

Early stopping itself cannot tell, since it trains on what was good early. Audits are a random sample at all epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView, TrialView

MIN_AUDITS = 6
CONFIDENCE = 0.90
SHUFFLES = 2000
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Foretelling:
    """How well the order after an epoch foretells that at the end."""

    epoch: int
    n: int
    ahead: float
    """Of two audits, how often the one that was ahead then is ahead at the end; a tie counts half."""
    low: float
    """Bounds of its 90% interval."""
    high: float


@dataclass(frozen=True, kw_only=True)
class Turning:
    """How the threshold's order changes between an early epoch and the end; n audits with a threshold."""

    epoch: int
    n: int
    early: float
    """Kendall's rank correlation of threshold and score then; positive where high thresholds are ahead."""
    end: float
    p_value: float
    """Share of shuffled sweeps in which the threshold has as much to do with how the order changes."""
    withheld: bool = False
    """Whether it is not to be told of, since it is found too often where nothing matters."""

    @property
    def is_shown(self) -> bool:
        """Whether early stopping prefers thresholds that end badly, more clearly than chance would have it."""
        return not self.withheld and self.early * self.end < 0 and self.p_value < ALPHA


@dataclass(frozen=True, kw_only=True)
class AuditView:
    """Of a sweep's audits."""

    audits: int
    finished: int
    """At the full budget."""
    foretold: tuple[Foretelling, ...]
    """At each epoch after which early stopping ended trials; empty with fewer than six finished audits."""
    turning: Turning | None
    """At the first of these epochs."""


def audit_view(sweep: SweepView) -> AuditView:
    """From the finished audits."""
    finished = [trial for trial in sweep.finished if trial.audit]
    epochs = sorted({trial.last_epoch for trial in sweep.trials if trial.stopped_by == "rungs"})
    compared = {epoch: [trial for trial in finished if epoch in trial.curve] for epoch in epochs}
    usable = {epoch: trials for epoch, trials in compared.items() if len(trials) >= MIN_AUDITS}
    first = min(usable, default=None)
    return AuditView(
        audits=sum(trial.audit for trial in sweep.trials),
        finished=len(finished),
        foretold=tuple(_foretelling(sweep, epoch, trials) for epoch, trials in usable.items()),
        turning=None if first is None else _turning(sweep, first, usable[first]),
    )


def foretelling_interval(early: Sequence[float], end: Sequence[float]) -> tuple[float, float, float]:
    """(share of pairs in the same order, and the bounds of its 90% interval) for six values or more.

    With Kendall's tau = 2 * share - 1, atanh(tau) is about normal with variance 0.437 / (n - 4): Fieller, Hartley and
    Pearson, "Tests for rank correlation coefficients I", Biometrika 44, 1957.
    """
    n = len(early)
    pairs = n * (n - 1) / 2
    differences = [np.sign(np.subtract.outer(values, values)) for values in (early, end)]
    tau = float((differences[0] * differences[1]).sum()) / (2 * pairs)
    most = 1 - 1 / pairs  # all pairs in order do not prove that the next one is
    middle = math.atanh(min(max(tau, -most), most))
    half = float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * math.sqrt(0.437 / (n - 4))
    low, high = math.tanh(middle - half), max(math.tanh(middle + half), tau)
    return (1 + tau) / 2, (1 + low) / 2, (1 + high) / 2


def _foretelling(sweep: SweepView, epoch: int, trials: list[TrialView]) -> Foretelling:
    ahead, low, high = foretelling_interval(
        [sweep.metric.better(trial.curve[epoch]) for trial in trials],
        [sweep.metric.better(trial.score) for trial in trials],
    )
    return Foretelling(epoch=epoch, n=len(trials), ahead=ahead, low=low, high=high)


def _turning(sweep: SweepView, epoch: int, trials: list[TrialView]) -> Turning | None:
    with_threshold = [trial for trial in trials if isinstance(trial.params.get(THRESHOLD), int | float)]
    thresholds = np.array([trial.params[THRESHOLD] for trial in with_threshold], dtype=float)
    if len(thresholds) < MIN_AUDITS or len(np.unique(thresholds)) < MIN_AUDITS:
        return None
    early = stats.rankdata([sweep.metric.better(trial.curve[epoch]) for trial in with_threshold])
    end = stats.rankdata([sweep.metric.better(trial.score) for trial in with_threshold])
    ranks = stats.rankdata(thresholds)
    # Its own seed: the same sweep gives the same report.
    shuffled = np.random.default_rng(0).permuted(np.tile(ranks, (SHUFFLES, 1)), axis=1)
    found = abs(float((ranks - ranks.mean()) @ (end - early)))
    by_chance = np.abs((shuffled - ranks.mean()) @ (end - early))
    return Turning(
        epoch=epoch,
        n=len(ranks),
        early=_tau(ranks, early),
        end=_tau(ranks, end),
        p_value=float((1 + (by_chance >= found - 1e-9).sum()) / (1 + SHUFFLES)),
    )


def _tau(first: np.ndarray, second: np.ndarray) -> float:
    tau = float(stats.kendalltau(first, second).statistic)
    return 0.0 if math.isnan(tau) else tau
