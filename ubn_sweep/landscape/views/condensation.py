"""How condensation and accuracy go together: over the trials, and over the network's depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from ubn_sweep.landscape.measures import MEASURES
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.epochs import common_epoch, reached
from ubn_sweep.landscape.views.ranking import ranked

MIN_TRIALS = 8
SHUFFLES = 2000
SIGNIFICANCE = 0.05
TOP_TRIALS = 8
NAMES = tuple(measure.name for measure in MEASURES)


@dataclass(frozen=True, kw_only=True)
class CondensationPoint:
    """One trial at one epoch."""

    trial: int
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
    p_value: float
    """Of shuffled scores that correlate as strongly, times the number of correlations that were looked at."""
    withheld: bool = False
    """Whether it is not to be told of, since it is found too often where nothing matters."""

    @property
    def is_shown(self) -> bool:
        return not self.withheld and self.p_value <= SIGNIFICANCE


@dataclass(frozen=True, kw_only=True)
class CondensationAtEpoch:
    """All trials that compare there, at that epoch and no other."""

    epoch: int
    full_budget: bool
    points: tuple[CondensationPoint, ...]
    correlations: tuple[Correlation, ...]
    """Of the measures that have enough trials."""


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

    epochs: tuple[CondensationAtEpoch, ...]
    """The finished trials at the full budget, and all at the common epoch; those that have points."""
    layers: tuple[LayerMap, ...]

    @property
    def correlations(self) -> tuple[Correlation, ...]:
        return tuple(found for at in self.epochs for found in at.correlations)


def condensation_view(sweep: SweepView, *, seed: int = 0) -> CondensationView:
    """Points and correlations at one epoch for all: the full budget, and the common one."""
    generator = np.random.default_rng(seed)
    populations: dict[int, Sequence[TrialView]] = {sweep.max_epochs: sweep.finished}
    common = common_epoch(sweep)
    if common is not None:
        populations[common] = reached(sweep, common)
    found = [_at_epoch(sweep, trials, epoch, generator) for epoch, trials in populations.items()]
    looks = sum(len(at.correlations) for at in found)
    maps = [_layer_map(sweep, measure) for measure in NAMES]
    return CondensationView(
        epochs=tuple(_corrected(at, looks) for at in found if at.points),
        layers=tuple(item for item in maps if item is not None),
    )


def _at_epoch(
    sweep: SweepView, trials: Sequence[TrialView], epoch: int, generator: np.random.Generator
) -> CondensationAtEpoch:
    points = [
        CondensationPoint(trial=trial.number, score=trial.curve[epoch], measures=trial.metrics_at[epoch])
        for trial in trials
        if trial.metrics_at.get(epoch)
    ]
    correlations = [_correlation(sweep, points, measure, epoch, generator) for measure in NAMES]
    return CondensationAtEpoch(
        epoch=epoch,
        full_budget=epoch == sweep.max_epochs,
        points=tuple(points),
        correlations=tuple(item for item in correlations if item is not None),
    )


def _corrected(at: CondensationAtEpoch, looks: int) -> CondensationAtEpoch:
    """Bonferroni: each look could have been the one to be told of."""
    return replace(
        at,
        correlations=tuple(replace(item, p_value=min(1.0, looks * item.p_value)) for item in at.correlations),
    )


def _correlation(
    sweep: SweepView,
    points: Sequence[CondensationPoint],
    measure: str,
    epoch: int,
    generator: np.random.Generator,
) -> Correlation | None:
    table = np.array(
        [(p.measures[measure], sweep.metric.better(p.score)) for p in points if measure in p.measures]
    )
    if len(table) < MIN_TRIALS or np.ptp(table[:, 0]) == 0 or np.ptp(table[:, 1]) == 0:
        return None
    ranks = stats.rankdata(table, axis=0) - (len(table) + 1) / 2
    ranks /= np.linalg.norm(ranks, axis=0)
    rho = float(ranks[:, 0] @ ranks[:, 1])
    shuffled = generator.permuted(np.tile(ranks[:, 1], (SHUFFLES, 1)), axis=1) @ ranks[:, 0]
    as_strong = int((np.abs(shuffled) >= abs(rho) - 1e-12).sum())
    return Correlation(
        measure=measure, epoch=epoch, n=len(table), rho=rho, p_value=(1 + as_strong) / (1 + SHUFFLES)
    )


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
