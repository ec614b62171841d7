"""Early stopping that looks back: the first trials do not train to the end for having come first."""

import random

import pytest

from ubn_sweep.records.events import TrialCreated, from_dict, to_dict
from ubn_sweep.schema import to_plain
from ubn_sweep.sweep.deciding.review import ReviewedRungs
from ubn_sweep.sweep.deciding.rungs import Rungs
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.loading import spec_from_plain

SETTINGS = {"grace_epochs": 1, "reduction_factor": 3, "max_epochs": 27}


def reviewed_and_plain():
    return ReviewedRungs(**SETTINGS), Rungs(**SETTINGS)


def test_the_first_trial_is_judged_again_at_the_next_rung():
    reviewed, plain = reviewed_and_plain()
    for rungs in (reviewed, plain):
        assert not rungs.report(0, 1, 0.1)  # nothing is there to compare it with
        for trial in range(1, 4):
            rungs.report(trial, 1, 0.5 + trial / 10)
        assert not rungs.report(0, 2, 0.2)  # between rungs nobody is judged
    assert reviewed.report(0, 3, 0.3)
    assert not plain.report(0, 3, 0.3)
    assert reviewed.values == plain.values
    assert reviewed.stopped - plain.stopped == {0}
    assert reviewed.report(0, 4, 0.9)  # once stopped, always


def test_three_values_are_too_few_to_look_back_on():
    rungs, _ = reviewed_and_plain()
    rungs.report(0, 1, 0.1)
    for trial in (1, 2):
        rungs.report(trial, 1, 0.5 + trial / 10)
    assert not rungs.report(0, 3, 0.3)


def test_the_best_of_every_rung_goes_on():
    rungs, _ = reviewed_and_plain()
    for trial in range(9):
        rungs.report(trial, 1, trial / 10)
    assert not any(rungs.report(8, epoch, 0.9) for epoch in range(2, 27))
    assert rungs.lets_go_on(8)


def test_whom_it_stopped_may_not_go_on_and_whom_a_new_reference_helps_may():
    rungs, _ = reviewed_and_plain()
    for trial, value in enumerate((0.4, 0.5, 0.6, 0.7)):
        rungs.report(trial, 1, value)
    assert rungs.report(0, 3, 0.9)
    assert not rungs.lets_go_on(0)
    rungs.reopen(0, 0)
    assert 0 not in rungs.values[1]
    assert not rungs.report(0, 1, 0.8)
    assert not rungs.report(0, 3, 0.9)


def epochs_of(state):
    """Twelve at a time, each trial better than those before it."""
    dice = random.Random(7)
    running = []
    while True:
        while len(running) < 12 and (trial := state.next_trial()) is not None:
            running.append(trial)
        if not running:
            return [trial.epoch for trial in state.trials.values()]
        trial = dice.choice(running)
        value = (1 + trial.number) / 31 * (1 - 0.7 ** (trial.epoch + 1))
        if state.report(trial.number, trial.epoch + 1, {"val_top1": value}):
            running.remove(trial)


@pytest.fixture
def make(small_spec):
    def make_state(record=lambda event: None, **early_stopping):
        spec = small_spec(search={"trials": 30, "sampler": "random"}, early_stopping=early_stopping)
        return SweepState(spec, record=record, now_s=lambda: 0.0)

    return make_state


def test_it_is_the_default_and_spends_less(make):
    assert isinstance(make().rungs, ReviewedRungs)
    assert not isinstance(make(kind="stop").rungs, ReviewedRungs)
    assert sum(epochs_of(make())) < sum(epochs_of(make(kind="stop")))


def test_a_restart_decides_alike(make):
    events = []
    ended = epochs_of(make(events.append))
    created = [index for index, event in enumerate(events) if isinstance(event, TrialCreated)]
    for cut in (*created[5::6], len(events)):
        again = []
        restarted = make(again.append)
        restarted.replay([from_dict(to_dict(event)) for event in events[:cut]])
        if cut < len(events):
            while not again:
                restarted.next_trial()
            assert again[0] == events[cut]
        else:
            assert [trial.epoch for trial in restarted.trials.values()] == ended
            assert restarted.finished


def test_a_record_of_before_stops_as_it_did_then(make):
    record = to_plain(make().spec)
    assert record["early_stopping"].pop("kind") == "review"
    assert spec_from_plain(record).early_stopping.kind == "stop"
    assert spec_from_plain({**record, "early_stopping": None}).early_stopping is None
