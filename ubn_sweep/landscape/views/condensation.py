"""How condensation and accuracy go together: over the trials, and over the network's depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ubn_sweep.landscape.measures import MEASURES
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.epochs import common_epoch, reached
from ubn_sweep.landscape.views.ranking import ranked

MIN_TRIALS = 8
RESAMPLES = 1000
TOP_TRIALS = 8
NAMES = tuple(measure.name for measure in MEASURES)


@dataclass(frozen=True, kw_only=True)
class CondensationPoint:
    """One trial at its last epoch."""

    trial: int
    status: str
    epoch: int
    score: float
    measures: dict[str, float]
    """By name: those that it reported there."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation with the objective, turned so that positive means better."""

    measure: str
    epoch: int
    n: int
    rho: float
    low: float
    high: float
    """The middle 95% of a bootstrap over the trials."""

    @property
    def is_shown(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True)
class LayerMap:
    """A measure of the best trials, layer by layer from the input to the output."""

    measure: str
    layers: tuple[str, ...]
    trials: tuple[TrialView, ...]
    values: tuple[tuple[float, ...], ...]
    """(trials, layers); NaN where not reported."""


@dataclass(frozen=True, kw_only=True)
class CondensationView:
    """All of it; empty parts where no layer has a gate."""

    points: tuple[CondensationPoint, ...]
    correlations: tuple[Correlation, ...]
    layers: tuple[LayerMap, ...]


def condensation_view(sweep: SweepView, *, seed: int = 0) -> CondensationView:
    """Points at the trials' last epochs; correlations at one epoch for all: the common one, and the full budget."""
    points = [_point(trial) for trial in sweep.trials if trial.curve and set(NAMES) & set(trial.metrics)]
    generator = np.random.default_rng(seed)
    epochs = [epoch for epoch in (common_epoch(sweep), sweep.max_epochs) if epoch is not None]
    found = [_correlation(sweep, measure, epoch, generator) for epoch in epochs for measure in NAMES]
    maps = [_layer_map(sweep, measure) for measure in NAMES]
    return CondensationView(
        points=tuple(points),
        correlations=tuple(item for item in found if item is not None),
        layers=tuple(item for item in maps if item is not None),
    )


def _point(trial: TrialView) -> CondensationPoint:
    return CondensationPoint(
        trial=trial.number,
        status=trial.status,
        epoch=trial.scored_epoch,
        score=trial.last_score,
        measures=trial.metrics_at.get(trial.scored_epoch, {}),
    )


def _correlation(
    sweep: SweepView, measure: str, epoch: int, generator: np.random.Generator
) -> Correlation | None:
    pairs = [
        (trial.metrics_at[epoch][measure], sweep.metric.better(trial.curve[epoch]))
        for trial in (sweep.finished if epoch == sweep.max_epochs else reached(sweep, epoch))
        if measure in trial.metrics_at.get(epoch, {})
    ]
    table = np.array(pairs)
    if len(pairs) < MIN_TRIALS or np.ptp(table[:, 0]) == 0 or np.ptp(table[:, 1]) == 0:
        return None
    picks = generator.integers(0, len(pairs), (RESAMPLES, len(pairs)))
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = [_spearman(table[pick]) for pick in picks]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return Correlation(
        measure=measure, epoch=epoch, n=len(pairs), rho=_spearman(table), low=float(low), high=float(high)
    )


def _spearman(pairs: np.ndarray) -> float:
    ranks = stats.rankdata(pairs, axis=0)
    return float(np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1])


def _layer_map(sweep: SweepView, measure: str) -> LayerMap | None:
    prefix = f"{measure}/"
    best = [trial for trial in ranked(sweep) if any(key.startswith(prefix) for key in trial.metrics)]
    best = best[:TOP_TRIALS]
    if not best:
        return None
    names = dict.fromkeys(key for trial in best for key in trial.metrics if key.startswith(prefix))
    values = [tuple(trial.metrics.get(name, float("nan")) for name in names) for trial in best]
    return LayerMap(
        measure=measure,
        layers=tuple(name.removeprefix(prefix) for name in names),
        trials=tuple(best),
        values=tuple(values),
    )
