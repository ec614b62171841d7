"""What goes wrong teaches: regions that diverge or fail are left, one broken machine condemns nothing."""

import math
import random
import statistics

import pytest

from ubn_sweep.records.events import PriorTrial, TrialCreated, from_dict, to_dict
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.samplers.records import has_diverged
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.training.trial import Report

TRIALS = 80
SPACE = {
    "optimizer.lr": {"type": "float", "low": 1e-4, "high": 10.0, "log": True},
    "optimizer.weight_decay": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
    "norm.momentum": {"type": "float", "low": 0.01, "high": 0.5},
}
MODELS = ("auto", "tpe", "gp")


def accuracy(params, epoch):
    """Best at lr 0.01, weight decay 1e-4, momentum 0.1; after the first epoch, the higher the rate the better."""
    rate = math.log10(params["optimizer.lr"]) + 2
    decay = math.log10(params["optimizer.weight_decay"]) + 4
    top = 0.9 - 0.1 * rate**2 - 0.01 * decay**2 - 0.1 * (params["norm.momentum"] - 0.1) ** 2
    return 0.3 + 0.04 * rate if epoch == 1 else top * (1 - 0.5**epoch)


def is_bad(params):
    """Two fifths of the space."""
    return params["optimizer.lr"] > 0.1


def diverges(params, number, epoch):
    return "diverged" if epoch == 2 and is_bad(params) else None


def fails_there(params, number, epoch):
    return "failed" if epoch == 2 and is_bad(params) else None


def fails_at_once_there(params, number, epoch):
    return "failed" if is_bad(params) else None


def one_machine_is_broken(params, number, epoch):
    """One trial in six, wherever in the space it is, after some epochs."""
    dice = random.Random(f"machine {number}")
    return "failed" if dice.random() < 1 / 6 and epoch == dice.randint(1, 9) else None


def carry_out(state, trial, fate):
    for epoch in range(1, state.max_epochs + 1):
        end = fate(trial.params, trial.number, epoch)
        if end == "failed":
            state.end(trial.number, "failed", "CUDA error")
            return
        value = math.nan if end == "diverged" else accuracy(trial.params, epoch)
        if state.report(trial.number, epoch, {"val_top1": value}):
            return


@pytest.fixture
def make(small_spec):
    def make_state(sampler, seed, record=lambda event: None, trials=TRIALS):
        search = {"trials": trials, "sampler": sampler, "seed": seed, "warm_starts": False}
        rungs = {"grace_epochs": 3, "reduction_factor": 3}
        spec = small_spec(space=SPACE, search=search, early_stopping=rungs)
        return SweepState(spec, record=record, now_s=lambda: 0.0)

    return make_state


def swept(make, sampler, seed, fate):
    state = make(sampler, seed)
    while (trial := state.next_trial()) is not None:
        carry_out(state, trial, fate)
    return [trial.params for trial in state.trials.values()]


def share_bad(make, sampler, fate, seeds):
    """Of the second half of the trials, over the seeds."""
    asked = [params for seed in seeds for params in swept(make, sampler, seed, fate)[TRIALS // 2 :]]
    return sum(map(is_bad, asked)) / len(asked)


@pytest.mark.parametrize(
    ("fate", "seeds"),
    [
        pytest.param(fails_there, 1, marks=pytest.mark.slow),
        pytest.param(diverges, 1, marks=pytest.mark.slow),
        pytest.param(diverges, 2, marks=pytest.mark.slow),
        pytest.param(fails_at_once_there, 1, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("sampler", ["auto", "tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_region_where_trials_have_no_end_is_left(make, sampler, fate, seeds):
    """Random search stays at its 40%."""
    assert share_bad(make, sampler, fate, seeds=range(seeds)) < 0.25


@pytest.mark.parametrize("epoch", [1, 3, 9])
def test_a_trial_that_calls_itself_diverged_is(make, tmp_path, epoch):
    """Its weights are not finite, its objective still is: also at a rung, which would stop it, and at its end."""
    events = []
    state = make("gp", 0, events.append)
    dispatch = Dispatch(state, SweepFolder(home=tmp_path, name="sweep"))
    for _ in range(3):  # of which the rung learns
        carry_out(state, state.trials[dispatch.next_job().trial], lambda *_: None)
    job = dispatch.next_job()
    for before in range(1, epoch):
        assert not dispatch.take(job.trial, job.attempt, Report(epoch=before, metrics={"val_top1": 0.9}))
    last = Report(epoch=epoch, metrics={"val_top1": 0.1}, ended="diverged", reason="not finite")
    assert dispatch.take(job.trial, job.attempt, last)
    assert (state.trials[job.trial].status, state.best.number) == ("diverged", 0)
    assert events[-1].reason == "not finite"
    assert 0.1 not in state.rungs.values[3].values()
    assert has_diverged(state.memory.trials()[job.trial])
    killed = make("gp", 0)
    killed.replay(from_dict(to_dict(event)) for event in events[:-1])  # between the report and the end
    assert killed.trials[job.trial].status == "diverged"
    assert has_diverged(killed.memory.trials()[job.trial])


@pytest.mark.parametrize("scores", [{}, {1: 0.5, 2: 0.6}])
def test_what_diverged_in_an_earlier_sweep_did(make, scores):
    state = make("gp", 0)
    params = {"optimizer.lr": 1.0, "optimizer.weight_decay": 1e-4, "norm.momentum": 0.1}
    ends = ("diverged", "stopped")
    state.learn(
        PriorTrial(time_s=0.0, sweep="before", trial=0, params=params, values=scores, status=status)
        for status in ends
    )
    assert [has_diverged(trial) for trial in state.memory.trials()] == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", MODELS)
def test_a_broken_machine_condemns_no_region(make, sampler):
    def nearness(fate):
        found = [
            abs(math.log10(params["optimizer.lr"]) + 2)
            for seed in range(2)
            for params in swept(make, sampler, seed, fate)[TRIALS // 2 :]
        ]
        return statistics.median(found)

    assert nearness(one_machine_is_broken) < nearness(lambda *_: None) + 0.3
    assert nearness(one_machine_is_broken) < 0.8  # of random points half are farther than 1.25


@pytest.mark.parametrize("sampler", ["auto", "tpe", pytest.param("gp", marks=pytest.mark.slow), "random"])
def test_a_restart_among_failures_changes_no_suggestion(make, sampler):
    def fate(params, number, epoch):
        return diverges(params, number, epoch) or one_machine_is_broken(params, number, epoch)

    events = []
    state = make(sampler, 1, events.append, trials=24)
    while (trial := state.next_trial()) is not None:
        carry_out(state, trial, fate)
    created = [index for index, event in enumerate(events) if isinstance(event, TrialCreated)]
    for cut in created[12::4]:
        again = []
        restarted = make(sampler, 1, again.append, trials=24)
        restarted.replay([from_dict(to_dict(event)) for event in events[:cut]])
        restarted.next_trial()
        assert again == [events[cut]]
