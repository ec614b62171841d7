"""A landscape without some of its claims: what is made too often where nothing matters is not told, drawn or stored."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.claims import about, key_of, kind_of
from ubn_sweep.landscape.claims import claims as claims_of
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.ablation import AblationView
from ubn_sweep.landscape.views.by import ByView
from ubn_sweep.landscape.views.condensation import CondensationView
from ubn_sweep.landscape.views.curve_fit import CurveFit
from ubn_sweep.landscape.views.effects import EffectsView
from ubn_sweep.landscape.views.failure_map import FailureMapView
from ubn_sweep.landscape.views.importance import ImportanceView
from ubn_sweep.landscape.views.numbers import Difference
from ubn_sweep.landscape.views.ranking import Ranking
from ubn_sweep.landscape.views.threshold import ThresholdCurve, ThresholdView

UNSURE = ("gate_gain", "choice")
"""Kinds that compare means of groups of trials."""
DRAWN = ("random", "grid", "qmc")
"""Samplers that do not follow the scores."""


def follows_scores(sweep: SweepView) -> bool:
    """Whether any trial was suggested by a sampler that learns: it tries good values of several parameters together."""
    return any(
        not trial.start and trial.origin.partition(",")[0] not in DRAWN and not trial.audit
        for trial in sweep.trials
    )


def sure(landscape: Landscape) -> Landscape:
    """Where the sampler follows the scores, means of groups are compared only of parameters that matter beyond chance
    beside those they were tried with. Else they differ in one of three sweeps in which they should not."""
    if not follows_scores(landscape.sweep):
        return landscape
    named = {row.key for row in landscape.importance.parameters if row.is_shown}
    unsure = [
        claim for claim in claims_of(landscape) if kind_of(claim) in UNSURE and key_of(claim) not in named
    ]
    return replace(without(landscape, unsure), withheld=landscape.withheld, unsure=tuple(sorted(unsure)))


def without(landscape: Landscape, claims: Collection[str]) -> Landscape:
    """The same numbers, of which these claims are not made."""
    profile, leaders, baseline, audit = (
        landscape.profile,
        landscape.leaders,
        landscape.baseline,
        landscape.audit,
    )
    if "threshold_range" in claims:
        profile = replace(profile, has_shape=False)
    if "gate_by_model" in claims and profile.gate_off is not None:
        profile = replace(profile, gate_off=replace(profile.gate_off, withheld=True))
    if "layers_paired" in claims and profile.batch_norm is not None and profile.batch_norm.paired is not None:
        paired = replace(profile.batch_norm.paired, withheld=True)
        profile = replace(profile, batch_norm=replace(profile.batch_norm, paired=paired))
    if "batch_norm" in claims:
        baseline = replace(baseline, difference=_hidden(baseline.difference))
    if "audits_turn" in claims and audit.turning is not None:
        audit = replace(audit, turning=replace(audit.turning, withheld=True))
    edges = tuple(edge for edge in leaders.edges if edge.key not in about("edge", claims))
    return replace(
        landscape,
        profile=profile,
        by=_by(landscape.by, about("threshold_by", claims)),
        effects=_effects(landscape.effects, about("effect", claims), about("together", claims)),
        ablation=_ablation(landscape.ablation, about("change_matters", claims)),
        failure_map=_failure_map(landscape.failure_map, about("failures_at", claims)),
        baseline=baseline,
        audit=audit,
        leaders=replace(leaders, edges=edges),
        ranking=_ranking(landscape.ranking) if "told_from_best" in claims else landscape.ranking,
        threshold=_threshold(
            landscape.threshold, shape="threshold_curve" in claims, gain="gate_gain" in claims
        ),
        importance=_importance(landscape.importance, about("parameter_matters", claims)),
        condensation=_condensation(landscape.condensation, about("condensation", claims)),
        withheld=tuple(sorted(claims)),
    )


def _by(view: ByView, keys: Collection[str]) -> ByView:
    return replace(
        view,
        keys=tuple(
            replace(found, apart=replace(found.apart, is_told=False)) if found.key in keys else found
            for found in view.keys
        ),
    )


def _effects(view: EffectsView, keys: Collection[str], pairs: Collection[str]) -> EffectsView:
    return replace(
        view,
        main=tuple(replace(row, is_told=row.is_told and row.keys[0] not in keys) for row in view.main),
        together=tuple(
            replace(row, is_told=row.is_told and "×".join(row.keys) not in pairs) for row in view.together
        ),
    )


def _ablation(view: AblationView, keys: Collection[str]) -> AblationView:
    steps = tuple(replace(step, is_told=step.is_told and step.keys[0] not in keys) for step in view.steps)
    return replace(view, steps=steps)


def _failure_map(view: FailureMapView, keys: Collection[str]) -> FailureMapView:
    return replace(
        view,
        parameters=tuple(
            replace(found, regions=tuple(replace(region, withheld=True) for region in found.regions))
            if found.key in keys
            else found
            for found in view.parameters
        ),
    )


def _hidden(difference: Difference | None) -> Difference | None:
    return None if difference is None else replace(difference, withheld=True)


def _ranking(ranking: Ranking) -> Ranking:
    """None is told from the best."""
    rows = tuple(replace(row, tied=None if row.tied is None else True) for row in ranking.trials)
    return replace(ranking, tied=None if ranking.tied is None else ranking.compared, trials=rows)


def _threshold(view: ThresholdView, *, shape: bool, gain: bool) -> ThresholdView:
    def curve(found: ThresholdCurve) -> ThresholdCurve:
        if shape and isinstance(found.fit, CurveFit):
            found = replace(found, fit=replace(found.fit, withheld=True))
        return replace(found, gain=_hidden(found.gain)) if gain else found

    return replace(view, full=curve(view.full), early=None if view.early is None else curve(view.early))


def _importance(view: ImportanceView, keys: Collection[str]) -> ImportanceView:
    return replace(view, parameters=tuple(replace(row, withheld=row.key in keys) for row in view.parameters))


def _condensation(view: CondensationView, measures: Collection[str]) -> CondensationView:
    epochs = tuple(
        replace(
            at,
            correlations=tuple(replace(item, withheld=item.measure in measures) for item in at.correlations),
        )
        for at in view.epochs
    )
    return replace(view, epochs=epochs)
