"""Two objectives: the spec, what is decided by them, and what is told of the front."""

import io
import itertools
import math
import random
import re

import optuna
import pytest
from rich.console import Console

from tests.support.journals import sweep_events as made_up
from tests.support.journals import with_second, write_sweep
from tests.support.processes import call_cli
from ubn_sweep import schema
from ubn_sweep.commands.live import render, summary_line
from ubn_sweep.commands.looking import best_of, facts_of, front_of
from ubn_sweep.commands.trials_table import score
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import from_dict, to_dict
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.fronts import front
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.deciding.front_rungs import FrontPromotionRungs, FrontRungs
from ubn_sweep.sweep.deciding.priors import learn_from
from ubn_sweep.sweep.deciding.samplers.scalarised import mixed
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.outlook import Watcher
from ubn_sweep.sweep.explaining.preview import expected_cost
from ubn_sweep.sweep.spec.loading import spec_from_plain
from ubn_sweep.tracking.delivery.deliver import Delivery
from ubn_sweep.tracking.optuna.mirror import StudyMirror, study_name

BOTH = [{"metric": "val_top1"}, {"metric": "epoch_s"}]
SPACE = {
    "optimizer.lr": {"type": "float", "low": 0.0001, "high": 1.0, "log": True},
    "norm.momentum": {"type": "float", "low": 0.0, "high": 1.0},
}
SAMPLERS = (
    *("auto", "grid", "qmc", "random", "tpe", "optuna.samplers:NSGAIISampler"),
    pytest.param("gp", marks=pytest.mark.slow),
)


@pytest.fixture
def make(small_spec):
    def make_state(record=lambda event: None, *, sampler="random", trials=10, objective=BOTH, **changes):
        spec = small_spec(
            objective=objective,
            search={"trials": trials, "sampler": sampler, "warm_starts": False},
            **{"early_stopping": None, "space": SPACE, **changes},
        )
        return SweepState(spec, record=record, now_s=lambda: 0.0)

    return make_state


def train(state, trial, value, epoch_s, epochs=9):
    for epoch in range(trial.epoch + 1, epochs + 1):
        if state.report(trial.number, epoch, {"val_top1": value, "epoch_s": epoch_s}):
            break


# -------------------------------------------------------------------- the spec


@pytest.mark.parametrize(
    "objective",
    [
        BOTH,
        ["val_top1", "epoch_s"],
        [{"mode": "max"}, {"metric": "epoch_s", "mode": "min"}],
        {"metric": "val_top1", "second": {"metric": "epoch_s"}},
    ],
)
def test_a_list_of_two_is_one_form(small_spec, objective):
    spec = small_spec(objective=objective)
    assert schema.to_plain(spec.objective) == {
        "metric": "val_top1",
        "mode": "max",
        "constraints": {},
        "second": {"metric": "epoch_s", "mode": "min"},
    }
    assert [metric.name for metric in spec.metrics] == ["val_top1", "epoch_s"]
    assert spec_from_plain(schema.to_plain(spec)).objective == spec.objective


def test_one_objective_is_recorded_as_before(small_spec):
    assert schema.to_plain(small_spec(objective=["val_loss"]).objective) == {
        "metric": "val_loss",
        "mode": "min",
        "constraints": {},
    }
    assert small_spec(objective="val_loss").objective.metrics == ("val_loss",)


def test_the_constraints_of_both_hold(small_spec):
    objective = [
        {"metric": "val_top1", "constraints": {"epoch_s": {"max": 2.0}}},
        {"metric": "parameters", "constraints": {"val_loss": {"max": 1.0}}},
    ]
    assert set(small_spec(objective=objective).objective.constraints) == {"epoch_s", "val_loss"}


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (["val_top1", "epoch_s", "val_loss"], "objective: is one metric or a list of two, but got"),
        ([], "objective: is one metric or a list of two, but got []"),
        ([{"metric": "val_top1"}, 3], "objective: is one metric or a list of two"),
        (["val_top1", "val_top1"], "both objectives are `val_top1`"),
        (["val_top1", "epoch"], "unknown metric `epoch` (did you mean `epoch_s`?)"),
        (["val_top1", {"metric": "epoch_s", "mode": "max"}], "`epoch_s` has mode min, but got max"),
        (["val_top1", {"mode": "min"}], "metric: is required, but absent"),
    ],
)
def test_what_no_objectives_are_is_refused_in_one_line(small_spec, objective, expected):
    with pytest.raises(UserError) as caught:
        small_spec(objective=objective)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_goes_by_one_objective_is_refused(small_spec, tmp_path):
    for name in ("target", "trial_target"):
        with pytest.raises(UserError, match=rf"stop_when.{name}.*a target is of one objective"):
            small_spec(objective=BOTH, stop_when={name: 0.9})
    with pytest.raises(UserError, match=r"search.goal.*a map is of one objective"):
        small_spec(objective=BOTH, search={"trials": 3, "goal": "map", "map": {"over": "norm.threshold"}})
    write_sweep(tmp_path, made_up(5))
    spec = small_spec(objective=BOTH, search={"trials": 3, "learn_from": ["made-up"]})
    with pytest.raises(UserError, match="earlier sweeps teach one objective"):
        learn_from(spec, tmp_path)


# -------------------------------------------------------------------- what is decided


def test_the_front_is_of_trials_at_the_full_budget(make):
    state = make()
    for value, epoch_s in [(0.5, 1.0), (0.9, 3.0), (0.7, 2.0), (0.7, 2.5), (0.4, 1.5)]:
        train(state, state.next_trial(), value, epoch_s)
    train(state, state.next_trial(), 0.99, 0.1, epochs=3)
    assert [trial.number for trial in state.front] == [1, 2, 0]
    assert state.best.number == 1
    train(state, state.next_trial(), 0.9, 2.9)
    assert [trial.number for trial in state.front] == [6, 2, 0]
    assert state.best.number == 6  # of two that lead in the first, the better in the second


def test_a_second_objective_that_is_no_number_is_divergence(make):
    state = make()
    trial = state.next_trial()
    train(state, trial, 0.9, math.nan)
    assert trial.status == "diverged"
    events = []
    state = make(events.append)
    train(state, state.next_trial(), 0.9, math.inf)
    assert events[-1].reason == "epoch_s is not finite"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_on_after_a_restart_as_it_would_have(make, sampler):
    """Some trials diverge, some are stopped, some break a constraint."""
    objective = [{"metric": "val_top1", "constraints": {"epoch_s": {"max": 9.0}}}, {"metric": "epoch_s"}]
    changes = {
        "sampler": sampler,
        "trials": 16,
        "objective": objective,
        "early_stopping": {"grace_epochs": 3, "reduction_factor": 3},
    }
    events = []
    state = make(events.append, **changes)
    for _ in range(15):
        trial = state.next_trial()
        value, epoch_s = costly(trial.params)
        if trial.number % 5 == 1:
            value = math.nan
        train(state, trial, value, epoch_s)
    statuses = {trial.status for trial in state.trials.values()}
    assert statuses == {"completed", "stopped", "diverged"}
    again = make(**changes)
    again.replay([from_dict(to_dict(event)) for event in events])
    assert [trial.number for trial in again.front] == [trial.number for trial in state.front]
    assert again.next_trial().params == state.next_trial().params


def costly(params):
    """Accuracy falls with momentum, an epoch takes the longer the less of it; the learning rate has a best value."""
    miss = abs(math.log10(params["optimizer.lr"]) + 2)
    return 0.9 - 0.3 * params["norm.momentum"] ** 2 - 0.1 * miss, 10 - 8 * params["norm.momentum"] + miss


@pytest.mark.parametrize("sampler", ["auto", "tpe"])
def test_a_sampler_asks_all_along_the_front(make, sampler):
    """The front is a learning rate of 0.01 with any momentum; a random search is a decade off in the median."""
    state = make(sampler=sampler, trials=48)
    while (trial := state.next_trial()) is not None:
        train(state, trial, *costly(trial.params))
    late = [trial.params for number, trial in state.trials.items() if number >= 24]
    misses = sorted(abs(math.log10(params["optimizer.lr"]) + 2) for params in late)
    assert misses[len(misses) // 2] < 0.5
    momenta = sorted(params["norm.momentum"] for params in late)
    assert momenta[3] < 0.4
    assert momenta[-4] > 0.6


def test_mixed_scores_keep_the_front_on_top():
    """Whatever the weight, the best mixture is on the front; over all weights it takes many places there."""
    dice = random.Random(0)
    pairs = [(dice.random(), dice.random() ** 3 * 1e6) for _ in range(60)]
    trials = [
        optuna.trial.create_trial(
            values=list(pair), intermediate_values={3: pair[0]}, user_attrs={"second 3": pair[1]}
        )
        for pair in pairs
    ]
    winners = set()
    for weight in (0.02 + 0.04 * i for i in range(25)):
        values = [trial.value for trial in mixed(trials, weight)]
        winners.add(values.index(max(values)))
    assert winners <= set(front(pairs))
    assert len(winners) > len(front(pairs)) // 2


@pytest.mark.parametrize("kind", ["stop", "promote"])
def test_rungs_compare_front_by_front(make, kind):
    state = make(early_stopping={"kind": kind, "grace_epochs": 3, "reduction_factor": 3}, trials=6)
    assert isinstance(state.rungs, FrontRungs if kind == "stop" else FrontPromotionRungs)
    outcomes = [(0.5, 5.0), (0.9, 9.0), (0.4, 6.0), (0.3, 7.0), (0.45, 4.5), (0.4, 1.0)]
    trials = [state.next_trial() for _ in outcomes]
    for trial, (value, epoch_s) in zip(trials, outcomes, strict=True):
        train(state, trial, value, epoch_s, epochs=3)
    assert state.rungs.values[3] == {n: (value, -epoch_s) for n, (value, epoch_s) in enumerate(outcomes)}
    # Of six the first two go on: the front's ends, 1 and 5. With `stop` the first one had nobody to compare with.
    assert {n for n in range(6) if state.rungs.lets_go_on(n)} >= {1, 5}
    if kind == "stop":
        stopped = {number for number, trial in state.trials.items() if trial.status == "stopped"}
        assert stopped == {2, 3, 4}
        assert not any(state.rungs.lets_go_on(n) for n in (0, 2, 3, 4))
    else:
        assert [state.next_trial().number, state.next_trial().number, state.next_trial()] == [1, 5, None]


def test_who_breaks_a_constraint_is_behind_all_at_a_rung(make):
    objective = [{"metric": "val_top1", "constraints": {"epoch_s": {"max": 5.0}}}, {"metric": "epoch_s"}]
    state = make(objective=objective, early_stopping={"kind": "promote", "grace_epochs": 3}, trials=3)
    for value, epoch_s in [(0.9, 6.0), (0.1, 4.9), (0.95, 5.5)]:
        train(state, state.next_trial(), value, epoch_s, epochs=3)
    assert state.next_trial().number == 1


def test_progress_is_to_come_onto_the_front(make):
    state = make(stop_when={"trials_without_progress": 2})
    for value, epoch_s in [(0.5, 1.0), (0.4, 0.5), (0.4, 0.5), (0.3, 0.4), (0.2, 0.6), (0.1, 0.9)]:
        assert not state.end_by_rule()
        train(state, state.next_trial(), value, epoch_s)
    assert state.end_by_rule()
    assert state.ended_by.startswith("none of the last 2 trials came onto the front since trial 3")


def test_a_preview_counts_with_the_first(small_spec):
    one, two = (
        expected_cost(small_spec(objective=objective), workers=2, replays=20)
        for objective in (["val_top1"], BOTH)
    )
    assert one == two


# -------------------------------------------------------------------- what is told


def test_the_live_table_shows_both_and_the_front(make, tmp_path):
    state = make()
    for value, epoch_s in [(0.5, 1.0), (0.9, 3.0), (0.7, 2.0), (0.4, 1.5)]:
        train(state, state.next_trial(), value, epoch_s)
    train(state, state.next_trial(), 0.8, 2.5, epochs=1)
    outlook = Watcher(state).look()
    assert score(state.trials[1], state.spec) == "90.00%, 3 s"
    assert summary_line(outlook, state.spec).endswith("; front of 3, from 90.00%, 3 s (trial 1)")
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render(outlook, state.spec, SweepFolder(home=tmp_path, name="small"), None))
    text = console.export_text()
    assert "val_top1" in text
    assert "epoch_s" in text
    assert text.count("front") == 3
    assert "best" not in text


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A made-up sweep by accuracy and the number of parameters, which grows with the batch size."""
    home = tmp_path_factory.mktemp("two")
    events = with_second(made_up(40), "parameters", lambda params: 1000.0 * params["training.batch_size"])
    return write_sweep(home, events)


def test_status_and_python_tell_the_front(two):
    facts, found = facts_of(two), front_of(two)
    assert [one["trial"] for one in facts["front"]] == [one["trial"] for one in found]
    assert best_of(two)["trial"] == found[0]["trial"] == facts["best"]["trial"]
    scores = [one["scores"] for one in found]
    assert 1 < len(found) <= 3
    assert all(a["val_top1"] > b["val_top1"] for a, b in itertools.pairwise(scores))
    assert all(a["parameters"] > b["parameters"] for a, b in itertools.pairwise(scores))
    assert facts["front"][0]["text"] == f"{scores[0]['val_top1']:.4g}, {scores[0]['parameters']:.4g}"


def test_status_names_the_trials_of_the_front(two):
    done = call_cli(["status", two.name, "--home", str(two.home)], cwd=two.home)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    told = [line for line in lines if " in trial " in line]
    assert [int(re.search(r"in trial (\d+)", line)[1]) for line in told] == [
        one["trial"] for one in front_of(two)
    ]
    assert told[0].startswith("front     ")
    assert told[0].endswith("(val_top1, parameters)")
    assert not any(line.startswith("best") for line in lines)


def test_with_one_objective_the_front_is_the_best(tmp_path):
    folder = write_sweep(tmp_path, made_up(20))
    assert [one["trial"] for one in front_of(folder)] == [best_of(folder)["trial"]]
    assert "front" not in facts_of(folder)


def test_the_optuna_study_has_two_directions(two):
    def distributions(params):
        key = "training.batch_size"
        return {key: params[key]}, {key: optuna.distributions.CategoricalDistribution([32, 64, 128])}

    sink = StudyMirror(two, two.default_study_storage, distributions)
    delivery = Delivery(two, sink, batch_events=50)
    while delivery.deliver_batch():
        pass
    started = next(iter(read_journal(two.path)))
    study = optuna.load_study(study_name=study_name(started), storage=two.default_study_storage)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["val_top1", "parameters"]
    complete = {t.number: t.values for t in study.trials if t.state.name == "COMPLETE"}
    for one in front_of(two):
        assert complete[one["trial"]] == list(one["scores"].values())
    assert {t.number for t in study.best_trials} >= {one["trial"] for one in front_of(two)}
