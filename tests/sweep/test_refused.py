"""Points that the trial's schema refuses, before a sweep and while it runs, and spaces that are used up."""

import dataclasses

import pytest

from tests.support.journals import sweep_events
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import PointRefused, TrialCreated, from_dict, to_dict
from ubn_sweep.records.observations import observations
from ubn_sweep.records.standing import Standing
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.suggestions import EXHAUSTED, MOST_REFUSALS
from ubn_sweep.sweep.spec.parameters import ChoiceParameter, IntParameter

SAMPLERS = ("gp", "auto", "random", "tpe")


@pytest.fixture
def make(small_spec):
    """A state whose space is larger than the one that was checked: as where validation missed a point."""

    def make_state(record=lambda event: None, *, unchecked, space=None, **search):
        spec = small_spec(space=space or {"norm.threshold": {"type": "float", "low": 0.1, "high": 0.9}})
        search = {"sampler": "random", "trials": 12, "warm_starts": False, **search}
        spec = dataclasses.replace(
            spec,
            space={**spec.space, **unchecked},
            search=dataclasses.replace(spec.search, **search),
        )
        return SweepState(spec, record=record, now_s=lambda: 0.0)

    return make_state


KERNELS = {"norm.kernel_size": IntParameter(type="int", low=1, high=7)}
EVEN_KERNELS = {"norm.kernel_size": ChoiceParameter(type="choice", values=(2, 4, 6))}


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def finish(state):
    while (trial := state.next_trial()) is not None:
        for epoch in range(1, state.max_epochs + 1):
            if state.report(trial.number, epoch, {"val_top1": 0.1 * trial.number + 0.01 * epoch}):
                break


NESTEROV = {
    "optimizer.nesterov": {"type": "choice", "values": [True, False]},
    "optimizer.momentum": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
}
WIDE = {
    "norm.momentum": {"type": "int", "low": 0, "high": 1},
    "optimizer.lr": {"type": "float", "low": 0.1, "high": 1.0},
    "optimizer.weight_decay": {"type": "float", "low": 0.0, "high": 0.1, "step": 0.0001},
    "training.batch_size": {"type": "ordered", "values": list(range(2, 400))},
}


@pytest.mark.parametrize("others", [{}, WIDE])
def test_a_spec_whose_values_do_not_go_together_is_refused(small_spec, others):
    """Small spaces are tried whole, of others points anywhere and where ranges end."""
    with pytest.raises(
        UserError, match=r"`optimizer.nesterov` true with `optimizer.momentum` 0.0 is not allowed"
    ):
        small_spec(space=NESTEROV | others)
    condition = {"optimizer.nesterov": True}
    momentum = {"type": "float", "low": 0.1, "high": 0.9, "step": 0.1, "when": condition}
    assert small_spec(space=NESTEROV | others | {"optimizer.momentum": momentum}).space


@pytest.mark.parametrize("sampler", SAMPLERS[1:])
def test_a_refused_point_is_recorded_and_another_drawn(make, sampler):
    events = []
    state = make(events.append, unchecked=KERNELS, sampler=sampler)
    finish(state)
    refused = of_kind(events, PointRefused)
    assert refused
    assert all(event.params["norm.kernel_size"] % 2 == 0 and "odd" in event.reason for event in refused)
    assert len(state.trials) == 12  # they cost none of the budget
    assert all(trial.params["norm.kernel_size"] % 2 for trial in state.trials.values())
    assert state.finished
    assert state.ending is None
    assert len(Trials(events)) == 12


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_after_a_restart_the_same_follows_and_nothing_refused_comes_again(make, sampler):
    events = []
    finish(make(events.append, unchecked=KERNELS, sampler=sampler))
    suggested = [i for i, event in enumerate(events) if isinstance(event, PointRefused | TrialCreated)]
    for cut in suggested[::3]:
        again = []
        state = make(again.append, unchecked=KERNELS, sampler=sampler)
        state.replay([from_dict(to_dict(event)) for event in events[:cut]])
        state.next_trial()
        assert again == events[cut : cut + len(again)]
    points = [tuple(events[i].params.items()) for i in suggested]
    assert len(points) == len(set(points))


def test_a_space_that_is_refused_altogether_ends_the_sweep_with_one_line(make):
    events = []
    state = make(events.append, unchecked=EVEN_KERNELS)
    finish(state)
    assert len(of_kind(events, PointRefused)) == MOST_REFUSALS
    assert state.finished
    assert "100 points in a row" in state.ending
    assert "odd" in state.ending
    assert "\n" not in state.ending
    again = []
    resumed = make(again.append, unchecked=EVEN_KERNELS)
    resumed.replay(events)
    assert (resumed.finished, resumed.ending, resumed.next_trial(), again) == (True, state.ending, None, [])


def test_a_small_space_that_is_refused_altogether_is_used_up(make):
    state = make(unchecked=EVEN_KERNELS, space={"norm.gate": {"type": "choice", "values": [True, False]}})
    finish(state)
    assert (len(state.trials), state.ending) == (0, EXHAUSTED)


GRID = {
    "norm.gate": {"type": "choice", "values": [True, False]},
    "norm.threshold": {"type": "float", "low": 0.1, "high": 0.8, "step": 0.1, "when": {"norm.gate": True}},
    "norm.affine": {"type": "choice", "values": ["pointwise", "depthwise"]},
    "norm.kernel_size": {"type": "int", "low": 1, "high": 5, "step": 2, "when": {"norm.affine": "depthwise"}},
    "training.batch_size": {"type": "ordered", "values": [32, 64, 128]},
}
GRID_SIZE = (8 + 1) * (3 + 1) * 3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_finite_space_is_tried_to_its_last_point(make, sampler, seed):
    state = make(unchecked={}, space=GRID, sampler=sampler, trials=GRID_SIZE + 5, seed=seed)
    while state.next_trial() is not None:
        pass
    assert len({str(sorted(trial.params.items())) for trial in state.trials.values()}) == GRID_SIZE
    assert (len(state.trials), state.ending) == (GRID_SIZE, EXHAUSTED)


def test_a_space_that_was_used_up_is_so_after_a_restart(make):
    events = []
    state = make(events.append, unchecked={}, space=GRID, trials=GRID_SIZE + 5)
    finish(state)
    resumed = make(unchecked={}, space=GRID, trials=GRID_SIZE + 5)
    resumed.replay(events)
    assert resumed.finished
    whole = make(unchecked={}, space=GRID, trials=GRID_SIZE)
    whole.replay(events)
    assert whole.ending is None  # it has all the trials that were asked for


def test_readers_of_a_journal_see_no_trial_in_a_refused_point():
    events = sweep_events(8)
    refused = PointRefused(time_s=0.0, params={"norm.kernel_size": 4}, origin="auto", reason="odd")
    places = [i for i, event in enumerate(events) if isinstance(event, TrialCreated)]
    with_it = [other for i, event in enumerate(events) for other in ([refused] * (i in places) + [event])]
    assert len(with_it) == len(events) + 8
    assert observations(with_it).equals(observations(events))
    assert Standing.of(with_it) == Standing.of(events)
    assert [event for event in map(from_dict, map(to_dict, with_it)) if event == refused] == [refused] * 8
