"""Constraints: who breaks one is none of the best, and samplers and rungs see it as worse."""

import random

import pytest

from tests.support.journals import sweep_events, write_sweep
from ubn_sweep.errors import UserError
from ubn_sweep.export.configs import export_configs
from ubn_sweep.landscape import words
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.course import course_view
from ubn_sweep.landscape.views.ranking import ranking
from ubn_sweep.records.events import EpochReported, SweepStarted, from_dict, to_dict
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.observations import observations
from ubn_sweep.records.standing import Standing
from ubn_sweep.sweep.deciding.ranking import below_all
from ubn_sweep.sweep.deciding.samplers.records import has_diverged
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.training.trial import Report

CONSTRAINTS = {"epoch_s": {"max": 2.0}}
SPACE = {
    "optimizer.lr": {"type": "float", "low": 0.0001, "high": 1.0, "log": True},
    "norm.momentum": {"type": "float", "low": 0.0, "high": 1.0},
}


@pytest.fixture
def make(small_spec):
    def make_state(record=lambda event: None, *, constraints=None, sampler="random", trials=10, **changes):
        spec = small_spec(
            objective={"constraints": CONSTRAINTS if constraints is None else constraints},
            search={"trials": trials, "sampler": sampler, "warm_starts": False},
            **{"early_stopping": None, **changes},
        )
        return SweepState(spec, record=record, now_s=lambda: 0.0)

    return make_state


def train(state, trial, value, epoch_s, epochs=9):
    for epoch in range(1, epochs + 1):
        if state.report(trial.number, epoch, {"val_top1": value, "epoch_s": epoch_s}):
            break


def test_the_best_keeps_them(make):
    events = []
    state = make(events.append)
    for value, epoch_s in [(0.5, 1.0), (0.9, 3.0), (0.7, 2.0), (0.95, 2.1), (0.6, float("nan"))]:
        train(state, state.next_trial(), value, epoch_s)
    assert state.best.number == 2
    assert state.counts["completed"] == 5
    again = make()
    again.replay([from_dict(to_dict(event)) for event in events])
    assert again.best.number == 2


@pytest.mark.parametrize("sampler", ["auto", "tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_the_sampler_leaves_a_region_that_breaks_them(make, sampler):
    """The more momentum the better, but it takes too long above 0.5; half of a random search lies there."""
    state = make(sampler=sampler, trials=40, space=SPACE)
    while (trial := state.next_trial()) is not None:
        momentum = trial.params["norm.momentum"]
        train(state, trial, 0.5 + 0.4 * momentum, 3.0 if momentum > 0.5 else 1.0)
    late = [trial for number, trial in state.trials.items() if number >= 20]
    assert sum(not trial.feasible for trial in late) < 0.4 * len(late)
    assert state.best.params["norm.momentum"] == pytest.approx(0.45, abs=0.05)
    if sampler == "gp":
        assert [has_diverged(t) for t in state.memory.trials()] == [
            not t.feasible for t in state.trials.values()
        ]


def test_at_a_rung_who_breaks_them_is_behind_all_others_and_ranked_by_score(make):
    state = make(early_stopping={"grace_epochs": 1, "reduction_factor": 3})
    outcomes = [(0.9, 3.0), (0.95, 3.0), (0.1, 1.0), (0.2, 1.0), (0.99, 3.0)]
    for value, epoch_s in outcomes:
        train(state, state.next_trial(), value, epoch_s, epochs=1)
    recorded = state.rungs.values[1]
    assert sorted(recorded, key=recorded.get) == [0, 1, 4, 2, 3]
    assert [state.trials[n].status for n in range(5)] == [None, None, None, None, "stopped"]


def test_scores_below_all_keep_their_order():
    dice = random.Random(0)
    scores = sorted(dice.gauss(0, 10) for _ in range(100))
    turned = [below_all(score) for score in scores]
    assert turned == sorted(turned)
    assert len(set(turned)) == 100
    assert max(turned) < -1e200


def test_a_trial_that_does_not_report_such_a_metric_has_failed(make, tmp_path):
    state = make()
    dispatch = Dispatch(state, SweepFolder(home=tmp_path, name="sweep"))
    job = dispatch.next_job()
    assert dispatch.take(job.trial, job.attempt, Report(epoch=1, metrics={"val_top1": 0.5}))
    assert state.trials[job.trial].status == "failed"


def test_a_target_counts_where_they_are_kept(make):
    state = make(stop_when={"target": 0.8})
    train(state, state.next_trial(), 0.9, 3.0)
    assert not state.end_by_rule()
    train(state, state.next_trial(), 0.85, 1.0)
    assert state.end_by_rule()


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ({"epoch_s": {}}, "has `min` or `max`, but got neither"),
        ({"epoch_s": {"min": 2, "max": 1}}, "`min <= max` must hold, but got 2.0 > 1.0"),
        ({"epoch_s": {"most": 2}}, "objective.constraints.epoch_s.most: unknown key"),
        ({"epoch_s": 2}, "objective.constraints.epoch_s"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_with_its_place(make, constraints, expected):
    with pytest.raises(UserError) as caught:
        make(constraints=constraints)
    assert "\n" not in str(caught.value)
    assert expected in str(caught.value)


# ---------------------------------------------------------------- readers


def with_times(slow, constraints=CONSTRAINTS):
    """A made-up sweep whose trials `slow` take 3 s an epoch, the others 1 s."""
    for event in sweep_events(12):
        if isinstance(event, SweepStarted):
            event.spec["objective"]["constraints"] = constraints
        if isinstance(event, EpochReported):
            event.metrics["epoch_s"] = 3.0 if event.trial in slow else 1.0
        yield event


def test_readers_leave_out_who_breaks_them(tmp_path):
    best = [row.trial.number for row in ranking(read_sweep(observations(list(with_times(()))))).trials]
    events = list(with_times(best[:1]))
    view = read_sweep(observations(events))
    found = ranking(view)
    assert [row.trial.number for row in found.trials] == best[1:]
    assert "Left out: 1 finished trial without epoch_s <= 2" in words.best(view, found)
    assert best[0] not in {step.trial for step in course_view(view).best_so_far}
    standing = Standing.of(events)
    assert standing.progress.best.trial == best[1]
    write_sweep(tmp_path, events)
    paths = export_configs(SweepFolder(home=tmp_path, name="made-up"), top=1, out=tmp_path / "out")
    assert f"trial: {best[1]}" in next(iter((tmp_path / "out").glob("*.yaml"))).read_text()
    assert paths


def test_where_none_keeps_them_none_is_the_best(tmp_path):
    events = list(with_times(range(12)))
    view = read_sweep(observations(events))
    assert "None of" in words.best(view, ranking(view))
    assert Standing.of(events).progress.best is None
    write_sweep(tmp_path, events)
    with pytest.raises(UserError, match=r"finished trials keeps epoch_s <= 2, so there is nothing to export"):
        export_configs(SweepFolder(home=tmp_path, name="made-up"), top=1, out=tmp_path / "out")
