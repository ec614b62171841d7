"""The landscape as numbers: what the summary and the table tell, and most figures draw."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ubn_sweep.landscape.read import SweepView, read_correctness, read_sweep
from ubn_sweep.landscape.views.audit import AuditView, audit_view
from ubn_sweep.landscape.views.baseline import BaselineView, baseline_view
from ubn_sweep.landscape.views.by import NO_GROUPS, ByView, by_view
from ubn_sweep.landscape.views.condensation import CondensationView, condensation_view
from ubn_sweep.landscape.views.confirmed import ConfirmedView
from ubn_sweep.landscape.views.course import CourseView, course_view
from ubn_sweep.landscape.views.failures import FailuresView, failures_view
from ubn_sweep.landscape.views.front import FrontView, front_view
from ubn_sweep.landscape.views.importance import ImportanceView, importance_view
from ubn_sweep.landscape.views.leaders import LeadersView, leaders_view
from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.landscape.views.profile import EVIDENCE, ProfileView, profile_view
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
    importance: ImportanceView
    condensation: CondensationView
    ranking: Ranking
    course: CourseView
    failures: FailuresView
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

    `claims_alone`: without the profiles by other parameters where nothing can be claimed of them, which takes half of
    the time.
    """
    with one_thread():
        sweep = read_sweep(table)
        ranks = ranking(sweep, read_correctness(table))
        modelled = Modelled(sweep)
        profile = profile_view(sweep, modelled)
        return Landscape(
            sweep=sweep,
            threshold=threshold_view(sweep),
            profile=profile,
            by=NO_GROUPS if claims_alone and profile.evidence < EVIDENCE else by_view(modelled, profile),
            importance=importance_view(sweep),
            condensation=condensation_view(sweep),
            ranking=ranks,
            course=course_view(sweep),
            failures=failures_view(sweep),
            baseline=baseline_view(sweep, ranks),
            leaders=leaders_view(sweep),
            audit=audit_view(sweep),
            front=front_view(sweep),
            confirmed=confirmed,
        )
