"""`search.goal: map`: along the whole axis, fair to bad regions, exact after a restart, spread over workers."""

import math
import random

import numpy as np
import pytest

from tests.support.processes import call_cli
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import TrialCreated, TrialEnded, from_dict, to_dict
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.deciding.local_rungs import LocalRungs
from ubn_sweep.sweep.deciding.rungs import Rungs
from ubn_sweep.sweep.deciding.samplers.mapping import START
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.changes import changed_spec

SETTINGS = {"grace_epochs": 1, "reduction_factor": 3, "max_epochs": 9}
MAP = {"goal": "map", "sampler": "auto", "warm_starts": False}
OVER = "norm.threshold"
SPACE = {
    OVER: {"type": "float", "low": 0.0, "high": 0.6},
    "norm.momentum": {"type": "float", "low": 0.01, "high": 0.5, "log": True},
    "norm.scaling": {"type": "choice", "values": ["representative", "instance"]},
}


def accuracy(params, epoch):
    """Best at a threshold of 0.1, worse from there; a little by the momentum."""
    threshold = params.get(OVER, 0.3)
    end = 0.9 - threshold + 0.02 * math.log(params.get("norm.momentum", 0.1))
    return max(end, 0.05) * (1 - 0.5**epoch)


@pytest.fixture
def make(small_spec):
    def state(record=lambda event: None, *, space=SPACE, early_stopping=None, **search):
        stopping = early_stopping or {"grace_epochs": 1, "reduction_factor": 3}
        spec = small_spec(space=space, search={"trials": 30, **MAP, **search}, early_stopping=stopping)
        return SweepState(spec, record=record, now_s=lambda: 0.0)

    return state


def run(state, *, reports=None, workers=3):
    """One report after another, by the trial's number: so that a restart meets the same order."""
    running, done = [], 0
    while reports is None or done < reports:
        while len(running) < workers and (trial := state.next_trial()) is not None:
            running.append(trial)
        if not running:
            return
        trial = min(running, key=lambda one: (one.epoch, one.number))
        done += 1
        if state.report(trial.number, trial.epoch + 1, {"val_top1": accuracy(trial.params, trial.epoch + 1)}):
            running.remove(trial)


def created(events):
    return [event for event in events if isinstance(event, TrialCreated)]


@pytest.fixture(scope="module")
def mapped():
    """The events of one map of 30 trials."""
    return []


@pytest.fixture
def events(make, mapped):
    if not mapped:
        run(make(mapped.append))
    return list(mapped)


def test_the_whole_axis_is_visited_and_known_to_the_end(events):
    thresholds = [event.params[OVER] for event in created(events)]
    counts, _ = np.histogram(thresholds, bins=6, range=(0.0, 0.6))
    assert counts.min() >= 2
    completed = {
        event.trial for event in events if isinstance(event, TrialEnded) and event.status == "completed"
    }
    of_completed = [event.params[OVER] for event in created(events) if event.trial in completed]
    assert max(of_completed) > 0.4  # the worst region was measured, not abandoned
    assert min(of_completed) < 0.2
    assert any(isinstance(event, TrialEnded) and event.status == "stopped" for event in events)
    assert [event.trial for event in created(events) if event.audit] == [4, 8, 12, 16, 20, 24, 28]


@pytest.mark.parametrize("cut", [0.3, 0.75])
def test_a_restart_goes_on_as_it_would_have(make, events, cut):
    kept = events[: int(cut * len(events))]
    while not isinstance(kept[-1], TrialEnded):  # a moment at which the next record is a suggestion
        kept.pop()
    again = [from_dict(to_dict(event)) for event in kept]
    state = make(again.append)
    state.replay(list(again))
    number = len(state.trials)
    following = next(event for event in created(events) if event.trial == number)
    running = [trial for trial in state.trials.values() if trial.status is None]
    while (trial := state.next_trial()) in running:
        pass
    assert (trial.number, trial.params) == (number, following.params)


def test_parallel_workers_spread(make):
    state = make()
    run(state, reports=60)
    asked = [state.next_trial() for _ in range(4)]
    fresh = [trial for trial in asked if trial is not None and trial.epoch == 0]
    places = sorted(trial.params[OVER] for trial in fresh)
    assert len(fresh) >= 3
    assert min(np.diff(places)) > 0.02


def test_choices_take_turns(make):
    found = []
    state = make(found.append, map={"by": ["norm.scaling"]}, trials=24)
    run(state)
    asked = [event.params for event in created(found) if event.trial >= START and not event.audit]
    for value in ("representative", "instance"):
        thresholds = [params[OVER] for params in asked if params["norm.scaling"] == value]
        assert len(thresholds) >= 0.3 * len(asked)
        assert max(thresholds) - min(thresholds) > 0.3


def test_a_conditional_axis_exists_where_it_is_asked_for(make):
    found = []
    space = {
        "norm.gate": {"type": "choice", "values": [True, False]},
        **SPACE,
        OVER: {**SPACE[OVER], "when": {"norm.gate": True}},
    }
    run(make(found.append, space=space, trials=20))
    asked = [event for event in created(found) if event.trial >= START and not event.audit]
    assert all(OVER in event.params for event in asked)
    assert any(OVER not in event.params for event in created(found))  # the others are there to compare with


def test_what_is_ruled_out_is_left_alone(make):
    events = []
    state = make(events.append, trials=20)
    run(state)
    focused = make(events.append, map={"where": "not_ruled_out"}, trials=36)
    focused.replay(list(events))
    run(focused)
    later = [event.params[OVER] for event in created(events)[20:] if not event.audit]
    assert len(later) >= 10
    assert sum(threshold < 0.35 for threshold in later) >= 0.8 * len(later)


def test_trials_compete_with_their_neighbours():
    rungs, plain = LocalRungs(**SETTINGS), Rungs(**SETTINGS)
    dice = random.Random(0)
    for trial in range(40):
        place = trial / 40
        value = 0.9 - 0.5 * place + 0.01 * dice.random()
        rungs.enter(trial, place)
        rungs.report(trial, 1, value)
        plain.report(trial, 1, value)
    rungs.enter(40, 0.97)
    assert not rungs.report(40, 1, 0.5)  # the best at the bad end of the axis
    assert plain.report(40, 1, 0.5)
    rungs.enter(41, 0.03)
    assert rungs.report(41, 1, 0.5)


def test_those_without_the_axis_compete_among_themselves():
    rungs = LocalRungs(**SETTINGS)
    for trial in range(9):
        rungs.enter(trial, trial / 9)
        rungs.report(trial, 1, 0.9)
    rungs.enter(9, None)
    assert not rungs.report(9, 1, 0.1)
    rungs.enter(10, None)
    assert rungs.report(10, 1, 0.05)
    rungs.enter(11, 0.5)
    assert rungs.report(11, 1, 0.2)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"map": {"over": "norm.treshold"}}, "did you mean"),
        ({"map": {"over": "norm.scaling"}}, "must be a range"),
        ({"map": {"by": ["norm.momentum"]}}, "must be a choice"),
        ({"map": {"by": ["norm.gate"]}}, "is not varied"),
    ],
)
def test_what_cannot_be_mapped_is_refused(make, search, message):
    with pytest.raises(UserError, match=message):
        make(**search)


def test_a_map_does_not_promote(make):
    with pytest.raises(UserError, match="kind: stop"):
        make(early_stopping={"kind": "promote"})


def test_a_sweep_may_become_a_map(small_spec):
    spec = small_spec(space=SPACE, search={"trials": 10})
    changed, changes = changed_spec(spec, ["search.goal=map", "search.map.where=not_ruled_out"])
    assert (changed.search.goal, changed.search.map.where) == ("map", "not_ruled_out")
    assert set(changes) == {"search.goal", "search.map.where"}
    with pytest.raises(UserError, match="is not varied"):
        changed_spec(spec, ["search.goal=map", "search.map.over=norm.gate"])


@pytest.mark.slow
def test_more_trials_from_the_command_line(tmp_path, write_spec):
    write_spec(space=SPACE, search={"trials": 12, "sampler": "auto"})
    run_it = call_cli(["run", "small.yaml", "--executor", "in-process"], cwd=tmp_path)
    assert run_it.returncode == 0, run_it.stderr
    added = call_cli(["map", "small", "--add", "3", "--executor", "in-process"], cwd=tmp_path)
    assert added.returncode == 0, added.stderr
    recorded = read_journal(SweepFolder(home=tmp_path / "sweeps", name="small").path)
    assert len(created(recorded)) == 15
    other = write_spec(space=SPACE, search={"trials": 2, "sampler": "random"}, name="other")
    assert call_cli(["run", other.name, "--executor", "in-process"], cwd=tmp_path).returncode == 0
    refused = call_cli(["map", "other"], cwd=tmp_path)
    assert (refused.returncode, "asks the sampler `auto`" in refused.stderr) == (2, True)
