"""The landscape as numbers: what the summary and the table tell, and most figures draw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from ubn_sweep.landscape.read import SweepView, read_correctness, read_sweep
from ubn_sweep.landscape.views.ablation import AblationView, ablation_view
from ubn_sweep.landscape.views.audit import AuditView, audit_view
from ubn_sweep.landscape.views.baseline import BaselineView, baseline_view
from ubn_sweep.landscape.views.by import ByView, by_view
from ubn_sweep.landscape.views.check import check_view
from ubn_sweep.landscape.views.condensation import CondensationView, condensation_view
from ubn_sweep.landscape.views.confirmed import ConfirmedView
from ubn_sweep.landscape.views.course import CourseView, course_view
from ubn_sweep.landscape.views.effects import EffectsView, effects_view
from ubn_sweep.landscape.views.failure_map import FailureMapView, failure_map_view
from ubn_sweep.landscape.views.failures import FailuresView, failures_view
from ubn_sweep.landscape.views.front import FrontView, front_view
from ubn_sweep.landscape.views.importance import ImportanceView, importance_view
from ubn_sweep.landscape.views.leaders import LeadersView, leaders_view
from ubn_sweep.landscape.views.ledger import LedgerView, ledger_view
from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.landscape.views.pairs import PairsView, pairs_view
from ubn_sweep.landscape.views.profile import ProfileView, profile_view
from ubn_sweep.landscape.views.ranking import Ranking, ranking
from ubn_sweep.landscape.views.threshold import ThresholdView, threshold_view
from ubn_sweep.one_thread import one_thread


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """The parts that more than one place shows; a figure may have numbers of its own beside them."""

    sweep: SweepView
    threshold: ThresholdView
    profile: ProfileView
    by: ByView
    pairs: PairsView
    effects: EffectsView
    ablation: AblationView
    importance: ImportanceView
    condensation: CondensationView
    ranking: Ranking
    course: CourseView
    failures: FailuresView
    failure_map: FailureMapView
    ledger: LedgerView
    baseline: BaselineView
    leaders: LeadersView
    audit: AuditView
    front: FrontView
    confirmed: ConfirmedView | None = None
    """The race that confirmed it; None where none is over."""
    withheld: tuple[str, ...] = ()
    """Claims that are not made, since they would be made too often where nothing matters."""
    unsure: tuple[str, ...] = ()
    """Claims that are not made, since the sampler may have made what they are of."""


def analyse(
    table: pa.Table, confirmed: ConfirmedView | None = None, *, claims_alone: bool = False
) -> Landscape:
    """From the table of observations; any sweep will do, running or failed throughout. `confirmed`: its race.

    `claims_alone` leaves out what claims nothing and takes time: surfaces, and the second opinion on bands.
    """
    with one_thread():
        sweep = read_sweep(table)
        correct = read_correctness(table)
        ranks = ranking(sweep, correct)
        modelled = Modelled(sweep)
        profile = profile_view(sweep, modelled)
        if profile.reason is None and not claims_alone:
            profile = replace(profile, check=check_view(modelled))
        return Landscape(
            sweep=sweep,
            threshold=threshold_view(sweep),
            profile=profile,
            by=by_view(modelled, profile),
            pairs=PairsView(surfaces=()) if claims_alone else pairs_view(modelled, profile),
            effects=effects_view(modelled),
            ablation=ablation_view(modelled),
            importance=importance_view(sweep),
            condensation=condensation_view(sweep),
            ranking=ranks,
            course=course_view(sweep),
            failures=failures_view(sweep),
            failure_map=failure_map_view(sweep),
            ledger=ledger_view(sweep, correct),
            baseline=baseline_view(sweep, ranks),
            leaders=leaders_view(sweep),
            audit=audit_view(sweep),
            front=front_view(sweep),
            confirmed=confirmed,
        )
