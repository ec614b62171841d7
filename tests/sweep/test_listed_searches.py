"""Searches whose points are known beforehand: a grid, and quasi-random ones."""

import pytest

from ubn_sweep import schema
from ubn_sweep.records.events import SweepEnded, SweepStarted, TrialCreated, from_dict, to_dict
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.suggestions import GRID_DONE

GRID = {
    "norm.gate": {"type": "choice", "values": [True, False]},
    "norm.threshold": {"type": "float", "low": 0.1, "high": 0.5, "step": 0.1, "when": {"norm.gate": True}},
    "norm.momentum": {"type": "float", "low": 0.01, "high": 1.0, "log": True},
    "norm.affine": {"type": "constant", "value": "pointwise"},
    "training.batch_size": {"type": "ordered", "values": [16, 32, 64, 128]},
    "model.width": {"type": "int", "low": 4, "high": 64},
}
STEPS = 3
SIZE = (5 + 1) * 3 * 4 * 3


@pytest.fixture
def make(small_spec):
    def make_state(record=lambda event: None, *, space=GRID, **search):
        search = {"sampler": "grid", "warm_starts": False, "trials": SIZE + 9, **search}
        spec = small_spec(space=space, search=search, early_stopping=None)
        return SweepState(spec, record=record, now_s=lambda: 0.0)

    return make_state


def points(state):
    found = []
    while (trial := state.next_trial()) is not None:
        state.end(trial.number, "failed")
        found.append(trial.params)
    return found


def test_a_grid_is_tried_whole_and_once(make):
    state = make(sampler_options={"steps": STEPS})
    found = points(state)
    assert len({state.space.identity(params) for params in found}) == len(found) == SIZE
    assert state.ending == GRID_DONE
    assert {trial.origin for trial in state.trials.values()} == {"grid"}
    assert sorted({round(params["norm.momentum"], 6) for params in found}) == [
        0.01,
        0.1,
        1.0,
    ]  # on a log scale
    assert sorted({params["model.width"] for params in found}) == [4, 34, 64]
    assert sorted({params["training.batch_size"] for params in found}) == [16, 32, 64, 128]
    thresholds = {params["norm.threshold"] for params in found if params["norm.gate"]}
    assert sorted(thresholds) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_the_seed_draws_the_order_of_a_grid(make):
    options = {"steps": STEPS}
    one, two = (points(make(sampler_options=options, seed=seed, trials=40)) for seed in (0, 1))
    assert one != two
    gated = sum(params["norm.gate"] for params in one)
    assert 5 < gated < 35  # from the first trials on it is everywhere


def test_the_users_points_that_lie_on_the_grid_count(make):
    first = {"norm.gate": False, "norm.momentum": 0.01, "training.batch_size": 16, "model.width": 4}
    beside = {**first, "norm.momentum": 0.02}
    state = make(sampler_options={"steps": STEPS}, points=[first, beside])
    found = points(state)
    assert len({state.space.identity(params) for params in found}) == len(found) == SIZE + 1


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["grid", "qmc"])
def test_a_restart_changes_no_suggestion(make, sampler):
    options = {"steps": 2} if sampler == "grid" else {"sequence": "halton"}
    size = (5 + 1) * 2 * 4 * 2
    events = []
    first = make(events.append, sampler=sampler, sampler_options=options, trials=size + 5)
    events.append(SweepStarted(time_s=0.0, sweep_id="a", name="b", spec=schema.to_plain(first.spec)))
    whole = points(first)
    assert len(whole) == (size if sampler == "grid" else size + 5)
    for cut in [i for i, event in enumerate(events) if isinstance(event, TrialCreated)][::17]:
        again = []
        state = make(again.append, sampler=sampler, sampler_options=options, trials=size + 5)
        state.replay([from_dict(to_dict(event)) for event in events[:cut]])
        state.next_trial()
        assert again == [events[cut]]
    resumed = make(sampler=sampler, sampler_options=options, trials=size + 5)
    resumed.replay([*events, SweepEnded(time_s=0.0)])
    assert resumed.finished
    assert resumed.ending == first.ending


PLANE = {
    "optimizer.lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "norm.gate": {"type": "choice", "values": [True, False]},
    "norm.threshold": {"type": "float", "low": 0.0, "high": 0.8, "when": {"norm.gate": True}},
    "norm.momentum": {"type": "float", "low": 0.0, "high": 1.0},
}


@pytest.mark.parametrize("sequence", ["sobol", "halton"])
def test_quasi_random_points_cover_every_range_evenly(make, sequence):
    found = points(make(space=PLANE, sampler="qmc", sampler_options={"sequence": sequence}, trials=64))
    assert len({int(32 * params["norm.momentum"]) for params in found}) >= (32 if sequence == "sobol" else 28)
    gated = [params["norm.threshold"] for params in found if params["norm.gate"]]
    assert abs(len(gated) - 32) <= 1
    assert {int(8 * threshold / 0.8) for threshold in gated} == set(range(8))


def test_sobols_points_are_a_net(make):
    """Of 64 points one lies in each of 8 by 8 cells; of random ones some 41 cells get any."""
    space = {key: PLANE[key] for key in ("norm.momentum",)} | {
        "norm.similarity_momentum": {"type": "float", "low": 0.0, "high": 1.0}
    }
    found = points(make(space=space, sampler="qmc", trials=64))
    cells = {(int(8 * p["norm.momentum"]), int(8 * p["norm.similarity_momentum"])) for p in found}
    assert len(cells) == 64
