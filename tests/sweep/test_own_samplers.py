"""Samplers from elsewhere, named as `module:Class`: called as Optuna calls them, and exact after a restart."""

import math
import sys

import pytest
from optuna.trial import TrialState

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import PointRefused, TrialCreated, from_dict, to_dict
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.loading import load_spec, spec_from_plain

MODULE = '''
"""A sampler with a state of its own, which no study holds."""

import random

from optuna.samplers import BaseSampler


class Walk(BaseSampler):
    """Draws from one stream of numbers, which each call and each end moves on; remembers what it was told."""

    def __init__(self, stride: int = 1, seed: int = 0) -> None:
        self.dice = random.Random(f"{seed} {stride}")
        self.told = []

    def before_trial(self, study, trial):
        self.told.append(("before", trial.number))

    def after_trial(self, study, trial, state, values):
        self.dice.random()
        self.told.append(("after", trial.number, state, values, len(trial.params)))

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        if param_name == "norm.threshold":
            assert trial.params["norm.gate"]  # what was decided before is there
        choices = getattr(param_distribution, "choices", None)
        if choices is not None:
            return self.dice.choice(choices)
        low, high, step = param_distribution.low, param_distribution.high, param_distribution.step
        return self.dice.uniform(low, high) if step is None else self.dice.randrange(low, high + 1, step)


class Broken(Walk):
    def sample_relative(self, study, trial, search_space):
        raise RuntimeError("no idea")


class Unmakable(Walk):
    def __init__(self) -> None:
        raise ImportError("install it first")
'''
OWN = {
    "walk": {"sampler": "walk_sampler:Walk", "sampler_options": {"stride": 2}},
    "genetic": {"sampler": "optuna.samplers:NSGAIISampler", "sampler_options": {"population_size": 4}},
    "qmc": {"sampler": "optuna.samplers:QMCSampler", "sampler_options": {"warn_independent_sampling": False}},
    "tpe": {"sampler": "optuna.samplers:TPESampler"},
}


@pytest.fixture
def load(write_spec, tmp_path):
    """The small spec with a sampler; the module of `Walk` lies beside it."""
    (tmp_path / "walk_sampler.py").write_text(MODULE)
    before = list(sys.path)
    yield lambda **search: load_spec(
        write_spec(search={"trials": 12, **search}, early_stopping={"grace_epochs": 3, "reduction_factor": 3})
    )
    sys.path[:] = before
    sys.modules.pop("walk_sampler", None)


def fate(params, number):
    """Some diverge, some fail, the others learn."""
    if number % 5 == 4:
        return "diverged"
    return "failed" if number % 7 == 3 else None


def finish(state):
    """One trial after another, each second one reported between the next one's creation and its end."""
    waiting = None
    while (trial := state.next_trial()) is not None:
        for other in [t for t in (waiting, trial if trial.number % 2 else None) if t is not None]:
            carry_out(state, other)
        waiting = None if trial.number % 2 else trial
    if waiting is not None:
        carry_out(state, waiting)


def carry_out(state, trial):
    end = fate(trial.params, trial.number)
    for epoch in range(1, state.max_epochs + 1):
        if end == "failed" and epoch == 2:
            state.end(trial.number, "failed")
        value = math.nan if end == "diverged" else trial.params.get("norm.threshold", 0.3) + 0.01 * epoch
        if state.report(trial.number, epoch, {"val_top1": value}):
            break


@pytest.mark.parametrize("name", OWN)
def test_a_restart_changes_no_suggestion(load, name):
    spec = load(**OWN[name])
    events = []
    finish(SweepState(spec, record=events.append, now_s=lambda: 0.0))
    created = [i for i, event in enumerate(events) if isinstance(event, TrialCreated)]
    origins = [events[i].origin for i in created[2:]]
    assert (
        origins.count(OWN[name]["sampler"]) > len(origins) / 2
    )  # the others were asked for, and repeated a point
    recorded = spec_from_plain(schema.to_plain(spec))
    for cut in created[2::3]:
        again = []
        state = SweepState(recorded, record=again.append, now_s=lambda: 0.0)
        state.replay([from_dict(to_dict(event)) for event in events[:cut]])
        unfinished = sum(trial.status is None for trial in state.trials.values())
        for _ in range(unfinished + 1):
            state.next_trial()
        assert again == [events[cut]]


def test_it_is_called_as_optuna_calls_it(load):
    state = SweepState(load(**OWN["walk"], warm_starts=False, trials=5), record=lambda event: None)
    finish(state)
    told = state.memory._sampler.told
    assert [number for what, number, *_ in told if what == "before"] == list(range(5))
    ends = {number: rest for what, number, *rest in told if what == "after"}
    assert sorted(ends) == list(range(5))
    assert [ends[number][0] for number in (3, 4)] == [TrialState.FAIL] * 2
    assert [ends[number][1] for number in (3, 4)] == [None] * 2
    for number in range(3):
        assert ends[number][0] in (TrialState.COMPLETE, TrialState.PRUNED)
        assert ends[number][1] == [state.trials[number].score]
    assert all(ends[number][2] == len(state.trials[number].params) for number in range(5))


def test_it_is_told_of_points_that_the_trials_config_refuses(load):
    events = []
    state = SweepState(
        load(**OWN["walk"], warm_starts=False, trials=5), record=events.append, now_s=lambda: 0.0
    )
    config = state.space.config

    def refuse_small(params, **options):
        if params["training.batch_size"] < 48:
            raise UserError("the trial's config: too small")
        return config(params, **options)

    state.space.config = refuse_small
    finish(state)
    refused = [event for event in events if isinstance(event, PointRefused)]
    assert len(refused) > 1
    assert len(state.trials) == 5
    again = SweepState(state.spec, record=lambda event: None)
    again.replay(events)
    assert again.memory._sampler.told == state.memory._sampler.told


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"sampler": "walk_sampler:Walk", "sampler_options": {"strid": 2}}, "no option `strid`; it takes seed, stride"),
        ({"sampler": "walk_sampler:walk"}, "must be a subclass of optuna.samplers.BaseSampler; `walk_sampler` has"),
        ({"sampler": "walk_samplers:Walk"}, "`walk_samplers` is no module that can be imported"),
        ({"sampler": "walk_sampler:Unmakable"}, "cannot be made (ImportError: install it first)"),
        ({"sampler": "optuna.samplers:TPESampler", "sampler_options": {"seeds": 1}}, "no option `seeds`"),
        ({"sampler": "grid", "sampler_options": {"step": 3}}, "has no option `step`: it has steps"),
        ({"sampler": "grid", "sampler_options": {"steps": 1}}, "`steps` must be a whole number from 2 on, but got 1"),
        ({"sampler": "qmc", "sampler_options": {"sequence": "lattice"}}, "`sequence` must be sobol or halton"),
        ({"sampler": "random", "sampler_options": {"steps": 3}}, "has no option `steps`: it has none"),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(load, search, expected):
    with pytest.raises(UserError) as caught:
        load(**search)
    assert "\n" not in str(caught.value)
    assert ": search" in str(caught.value)
    assert expected in str(caught.value)


def test_one_that_raises_is_one_line(load):
    state = SweepState(load(sampler="walk_sampler:Broken", warm_starts=False), record=lambda event: None)
    with pytest.raises(
        UserError, match=r"search.sampler: `walk_sampler:Broken` raised RuntimeError \(no idea\)"
    ):
        state.next_trial()
