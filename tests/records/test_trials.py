"""The fold of events into trials."""

import math

import pytest

from tests.tracking.builders import MAX_EPOCHS, STATUS_OF, metrics, started, sweep_events, trial_events
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import AttemptStarted
from ubn_sweep.records.trials import Trials


def test_a_whole_sweep():
    events = sweep_events(8)
    trials = Trials(events)
    assert trials.started == started()
    assert (trials.attempts, trials.ended, len(trials)) == (1, events[-1], 8)
    assert [trial.number for trial in trials] == list(range(8))
    assert [trial.status for trial in trials] == [STATUS_OF[number % 4] for number in range(8)]
    assert [trial.last_epoch for trial in trials] == [MAX_EPOCHS, 2, 0, 1] * 2
    assert trials[1].values("val_top1") == {epoch: metrics(1, epoch)["val_top1"] for epoch in (1, 2)}
    assert trials[1].values("absent") == {}
    assert trials[1].last_value("val_top1") == metrics(1, 2)["val_top1"]
    assert math.isnan(trials[2].last_value("val_top1"))
    assert trials[3].created.trial == 3


def test_part_by_part_and_twice_it_is_the_same():
    events = sweep_events(6)
    folded = Trials()
    for event in [*events[:20], *events[5:20], *events[20:]]:
        folded.apply(event)
    assert list(folded) == list(Trials(events))


def test_a_later_part_of_a_journal():
    part = Trials([AttemptStarted(time_s=1.0, attempt=2), *trial_events(0)[1:]])
    assert part.start is None
    assert part.attempts == 2
    assert (part[0].creation, part[0].status) == (None, "completed")
    with pytest.raises(UserError, match="trial 0 before it began"):
        _ = part[0].created
    with pytest.raises(UserError, match="does not begin"):
        _ = part.started


def test_a_running_trial():
    trials = Trials([started(), *trial_events(0)[:-1]])
    assert (trials[0].status, trials[0].last_epoch, trials.ended) == ("running", MAX_EPOCHS, None)
