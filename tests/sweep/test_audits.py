"""Audit trials: random when they are made, in the journal, counted in the rungs, never stopped, priced."""

import random

import pytest

from tests.sweep.conftest import SPEC
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import TrialCreated, TrialEnded, from_dict, to_dict
from ubn_sweep.sweep.deciding.memory import RANDOM_FOR_AUDIT
from ubn_sweep.sweep.deciding.promotion import PromotionRungs
from ubn_sweep.sweep.deciding.rungs import Rungs
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.preview import expected_cost

SETTINGS = {"grace_epochs": 1, "reduction_factor": 3, "max_epochs": 9}


def accuracy(trial, epoch):
    return random.Random(trial).random() * (1 - 0.5**epoch)


@pytest.fixture
def swept(small_spec):
    """The events of a sweep of 40 trials, three at once."""

    def run(*, stop_after=None, events=None, early_stopping=None, space=SPEC["space"], **search):
        spec = small_spec(
            space=space,
            search={"trials": 40, "sampler": "random", **search},
            early_stopping={"grace_epochs": 1, "reduction_factor": 3, **(early_stopping or {})},
        )
        recorded = [] if events is None else [from_dict(to_dict(event)) for event in events]
        state = SweepState(spec, record=recorded.append, now_s=lambda: 0.0)
        state.replay(list(recorded))
        running, dice = [], random.Random(len(recorded))
        while stop_after is None or len(recorded) < stop_after:
            while len(running) < 3 and (trial := state.next_trial()) is not None:
                running.append(trial)
            if not running:
                break
            trial = dice.choice(running)
            score = accuracy(trial.number, trial.epoch + 1)
            if state.report(trial.number, trial.epoch + 1, {"val_top1": score}):
                running.remove(trial)
        return state, recorded

    return run


def created(events):
    return [event for event in events if isinstance(event, TrialCreated)]


@pytest.mark.parametrize("kind", ["stop", "promote"])
def test_audits_train_to_the_end_and_count_in_the_rungs(swept, kind):
    state, events = swept(audit=6, early_stopping={"kind": kind})
    audits = [event.trial for event in created(events) if event.audit]
    assert audits == [6, 12, 18, 24, 30, 36]
    ends = {event.trial: event for event in events if isinstance(event, TrialEnded)}
    assert all((ends[number].status, ends[number].epoch) == ("completed", 9) for number in audits)
    assert state.counts["stopped"] > 10
    assert all(set(audits) <= set(recorded) for level, recorded in state.rungs.values.items() if level < 9)


def test_without_audits_nothing_changes(swept):
    _, plain = swept()
    _, with_audits = swept(audit=6)
    assert not any(event.audit for event in created(plain))
    # Random points are as random as an audit's: the sampler's own are taken.
    assert [event.params for event in created(plain)] == [event.params for event in created(with_audits)]


def test_a_sampler_that_learns_is_left_out(swept):
    space = {"norm.threshold": {"type": "float", "low": 0.0, "high": 0.6}}
    _, events = swept(audit=6, sampler="tpe", trials=20, space=space)
    audits = [event for event in created(events) if event.audit]
    assert {event.origin for event in audits} == {RANDOM_FOR_AUDIT}
    assert all(event.origin != RANDOM_FOR_AUDIT for event in created(events) if not event.audit)
    _, others = swept(audit=6, sampler="auto", trials=20, space=space)
    assert [e.params for e in audits] == [e.params for e in created(others) if e.audit]  # whatever was seen


def test_the_users_points_are_none(swept):
    points = [{"norm.gate": True, "norm.threshold": 0.01 * n} for n in range(8)]
    _, events = swept(audit=3, points=points, trials=12, warm_starts=False)
    assert [event.trial for event in created(events) if event.audit] == [9]


@pytest.mark.parametrize("killed_after", [5, 21, 40])
def test_a_killed_sweep_draws_the_same_audits(swept, killed_after):
    # No two points of this space are the same, so that none is drawn again.
    space = {"norm.threshold": {"type": "float", "low": 0.0, "high": 0.6}}
    search = {"audit": 4, "sampler": "auto", "trials": 16, "space": space}
    _, whole = swept(**search)
    _, before = swept(**search, stop_after=killed_after)
    _, after = swept(**search, events=before)
    drawn = [[(e.trial, e.params) for e in created(events) if e.audit] for events in (whole, after)]
    assert drawn[0] == drawn[1]


def test_old_journals_have_none():
    content = to_dict(TrialCreated(time_s=0.0, trial=0, params={}, config={}, origin="auto"))
    del content["audit"]
    assert from_dict(content).audit is False


@pytest.mark.parametrize("kind", [Rungs, PromotionRungs])
def test_an_exempt_report_counts_for_others(kind):
    rungs = kind(**SETTINGS)
    for trial in range(6):
        rungs.report(trial, 1, 0.5)
    assert not rungs.report(6, 1, 0.1, exempt=True)
    assert rungs.values[1][6] == 0.1
    assert not rungs.report(6, 2, 0.1, exempt=True)
    assert not rungs.report(6, 3, 0.1, exempt=True)
    assert rungs.values[3] == {6: 0.1}


def test_the_preview_says_what_they_take(small_spec):
    search = {"trials": 40, "sampler": "random"}
    without = expected_cost(small_spec(search=search), workers=2, replays=40)
    cost = expected_cost(small_spec(search={**search, "audit": 8}), workers=2, replays=40)
    assert (without.audits, without.audit_epochs.mean) == (0, 0)
    assert (cost.audits, cost.audit_epochs.low, cost.audit_epochs.high) == (4, 36, 36)
    assert without.epochs.mean < cost.epochs.mean < without.epochs.mean + 36


def test_every_trial_an_audit_is_refused(small_spec):
    with pytest.raises(UserError, match="audit >= 2"):
        small_spec(search={"trials": 4, "audit": 1})
