"""`stop_when.trial_target`: a trial ends where it reaches an accuracy, and the others go on."""

import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.state import SweepState


@pytest.fixture
def make(small_spec):
    """A state, and what it records."""

    def make_state(**changes):
        keys = {"early_stopping": None, "stop_when": {"trial_target": 0.8}}
        spec = small_spec(**keys | changes)
        events = []
        return SweepState(spec, record=events.append, now_s=lambda: 0.0), events, spec

    return make_state


def test_a_trial_ends_at_its_target_and_the_others_go_on(make):
    state, events, spec = make()
    for _ in range(3):
        state.next_trial()
    assert not state.report(0, 1, {"val_top1": 0.79})
    assert state.report(0, 2, {"val_top1": 0.8})
    assert not state.report(1, 1, {"val_top1": 0.5})
    ended = events[-2]
    assert (ended.trial, ended.status, ended.stopped_by, ended.epoch) == (0, "stopped", "target", 2)
    assert ended.reason == "its target was reached in epoch 2"
    assert state.best is state.trials[0]
    for epoch in range(1, spec.base.training.epochs + 1):
        done = state.report(2, epoch, {"val_top1": 0.9 if epoch == spec.base.training.epochs else 0.1})
    assert done
    assert state.trials[2].status == "completed"
    replayed = SweepState(spec, record=lambda event: None, now_s=lambda: 0.0)
    replayed.replay(events)
    assert [trial.status for trial in replayed.trials.values()] == [
        trial.status for trial in state.trials.values()
    ]
    assert replayed.trials[0].stopped_by == "target"


def test_a_kill_before_the_end_was_recorded_changes_nothing(make):
    state, events, spec = make()
    state.next_trial()
    state.report(0, 1, {"val_top1": 0.9})
    replayed = SweepState(spec, record=lambda event: None, now_s=lambda: 0.0)
    replayed.replay(events[:-1])
    assert (replayed.trials[0].status, replayed.trials[0].stopped_by) == ("stopped", "target")


def test_less_may_be_better_and_constraints_hold(make):
    state, _, _ = make(objective={"metric": "val_loss"}, stop_when={"trial_target": 0.5})
    state.next_trial()
    assert not state.report(0, 1, {"val_loss": 0.6})
    assert state.report(0, 2, {"val_loss": 0.4})
    state, _, _ = make(objective={"metric": "val_top1", "constraints": {"epoch_s": {"max": 1.0}}})
    state.next_trial()
    assert not state.report(0, 1, {"val_top1": 0.9, "epoch_s": 2.0})
    assert state.report(0, 2, {"val_top1": 0.9, "epoch_s": 0.5})


def test_a_target_is_a_number(small_spec):
    with pytest.raises(UserError, match="`trial_target` must be a finite number"):
        small_spec(stop_when={"trial_target": float("nan")})
