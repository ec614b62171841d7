"""Rules that end a whole sweep: when they are met, what becomes of its trials, and how it goes on after all."""

import dataclasses

import pytest

from tests.tracking.reading import parent_run
from ubn_sweep.commands.steering import sweep_status
from ubn_sweep.commands.sweeping import run_sweep
from ubn_sweep.errors import UserError
from ubn_sweep.invocation import as_typed
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.words import summary
from ubn_sweep.records.events import (
    AttemptStarted,
    EpochReported,
    SpecChanged,
    SweepEnded,
    SweepInterrupted,
    TrialEnded,
    TrialRetried,
)
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.observations import observations
from ubn_sweep.records.progress import Progress
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.stop_rules import StopRules
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, resume_sweep, start_sweep
from ubn_sweep.sweep.spec.loading import load_spec
from ubn_sweep.training.trial import Report

HERE = Surroundings(executor=InProcessExecutor())


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path / "sweeps", name="small")


@pytest.fixture
def make(small_spec):
    """A state whose clock shows `clock[0]`, and what it records."""

    def make_state(**stop_when):
        spec = small_spec(
            search={"trials": 30, "sampler": "random"}, early_stopping=None, stop_when=stop_when
        )
        events, clock = [], [0.0]
        state = SweepState(spec, record=events.append, now_s=lambda: clock[0])
        state.note(AttemptStarted(time_s=0.0, attempt=1))
        return state, events, clock

    return make_state


def kinds(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_epochs_are_counted_over_all_trials_and_what_runs_ends_as_it_stands(make):
    state, events, _ = make(epochs=5)
    for _ in range(2):
        state.next_trial()
    for epoch in (1, 2, 3):
        state.report(0, epoch, {"val_top1": 0.5})
    assert not state.end_by_rule()
    for epoch in (1, 2):
        state.report(1, epoch, {"val_top1": 0.5})
    assert state.end_by_rule()
    assert state.ended_by == "5 epochs are trained (stop_when.epochs)"
    assert state.finished
    assert state.next_trial() is None
    assert [(e.trial, e.status, e.epoch, e.stopped_by) for e in kinds(events, TrialEnded)] == [
        (0, "stopped", 3, "rule"),
        (1, "stopped", 2, "rule"),
    ]


def test_a_target_is_reached_by_any_epoch_of_any_trial(make):
    state, _, _ = make(target=0.9)
    state.next_trial()
    state.report(0, 1, {"val_top1": 0.89})
    assert not state.end_by_rule()
    state.report(0, 2, {"val_top1": 0.9})
    assert state.end_by_rule()
    assert state.ended_by == "val_top1 reached 0.9 in trial 0, epoch 2 (stop_when.target)"


def test_a_target_of_a_loss_lies_below(small_spec):
    spec = small_spec(objective={"metric": "val_loss"}, stop_when={"target": 0.2})
    rules = StopRules(spec)
    for epoch, loss in enumerate((0.3, float("nan"), 0.21), start=1):
        rules.apply(EpochReported(time_s=0.0, trial=0, epoch=epoch, metrics={"val_loss": loss}))
        assert rules.met() is None
    rules.apply(EpochReported(time_s=0.0, trial=0, epoch=4, metrics={"val_loss": 0.1}))
    assert rules.met().startswith("val_loss reached 0.1 in trial 0")


def test_no_progress_is_counted_since_the_best_and_failures_are_none_of_it(make):
    state, _, _ = make(trials_without_progress=3)
    for number, (value, failed) in enumerate(
        [(0.5, False), (0.4, False), (0.6, False), (0.1, False), (0.1, True), (0.6, False), (0.2, False)]
    ):
        assert not state.end_by_rule()
        state.next_trial()
        for epoch in range(1, 10):
            state.report(number, epoch, {"val_top1": value}) if not failed else None
        state.end(number, "failed")
    assert state.end_by_rule()
    assert (
        state.ended_by
        == "none of the last 3 trials was better than trial 2 (stop_when.trials_without_progress)"
    )


def test_hours_are_those_of_all_attempts_and_not_those_between(small_spec):
    spec = small_spec(stop_when={"hours": 2})

    def after(*events):
        rules = StopRules(spec)
        for event in events:
            rules.apply(event)
        rules.pause()
        return rules

    killed = [
        AttemptStarted(time_s=1000.0, attempt=1),
        EpochReported(time_s=4600.0, trial=0, epoch=1, metrics={"val_top1": 0.5}),
    ]
    assert after(*killed).elapsed_s() == 3600
    days_later = [
        # What a resume writes before its attempt begins.
        SpecChanged(time_s=500_000.0, spec={}, changes={}),
        TrialEnded(time_s=500_000.0, trial=0, status="stopped", epoch=1),
        AttemptStarted(time_s=500_010.0, attempt=2),
        SweepInterrupted(time_s=501_810.0, word="paused"),
    ]
    rules = after(*killed, *days_later)
    assert rules.elapsed_s() == 3600 + 1800
    assert rules.met(now_s=900_000.0) is None  # no attempt runs
    rules.apply(AttemptStarted(time_s=900_000.0, attempt=3))
    assert rules.met(now_s=901_799.0) is None
    assert rules.met(now_s=901_800.0) == "it has run for 2 hours (stop_when.hours)"


def test_a_trial_that_reports_nothing_does_not_hold_up_the_clock(make, tmp_path):
    state, _, clock = make(hours=1)
    dispatch = Dispatch(state, SweepFolder(home=tmp_path, name="small"))
    job = dispatch.next_job()
    assert not dispatch.over
    clock[0] = 3600.0
    assert dispatch.over
    assert dispatch.running == 0
    assert dispatch.next_job() is None
    assert dispatch.take(job.trial, job.attempt, Report(epoch=1, metrics={"val_top1": 0.5}))
    assert (state.trials[0].status, state.trials[0].epoch, state.best) == ("stopped", 0, None)


@pytest.mark.slow
def test_a_sweep_that_a_rule_ended_goes_on_where_it_stood(small_spec, tmp_path, folder, monkeypatch):
    monkeypatch.setenv("TEST_EPOCH_LOG", str(tmp_path / "epochs.txt"))
    monkeypatch.setenv("TEST_EPOCH_S", "0")
    search = {"trials": 6, "sampler": "random"}
    spec = small_spec(search=search, early_stopping=None, stop_when={"epochs": 14})
    first = start_sweep(spec, home=folder.home, name="small", surroundings=HERE)
    assert first.finished
    assert first.ended_by == "14 epochs are trained (stop_when.epochs)"
    assert (first.counts["completed"], first.counts["stopped"]) == (1, 1)
    events = read_journal(folder.path)
    assert [event.reason for event in kinds(events, SweepEnded)] == [first.ended_by]
    (sentence, *_) = summary(analyse(observations(events)))
    assert sentence.endswith("Ended by a rule: 14 epochs are trained (stop_when.epochs).")
    assert [path.name for path in folder.checkpoints.iterdir()] == ["0001"]

    again = resume_sweep(folder, surroundings=HERE)
    assert (again.finished, again.ended_by) == (True, first.ended_by)
    assert len(read_journal(folder.path)) == len(events), "a finished sweep does not start again"

    whole = resume_sweep(folder, assignments=["stop_when.epochs=null"], surroundings=HERE)
    assert (whole.finished, whole.ended_by, whole.counts["completed"]) == (True, None, 6)
    (retried,) = kinds(read_journal(folder.path), TrialRetried)
    assert (retried.trial, retried.was) == (1, "stopped")
    trained = [tuple(line.split()[:2]) for line in (tmp_path / "epochs.txt").read_text().splitlines()]
    assert len(trained) == len(set(trained)) == 54, "it went on from its checkpoint"
    assert not folder.checkpoints.exists()

    # It decided as a sweep that no rule had ended, and whoever reads the journal comes to the same.
    plain = start_sweep(
        dataclasses.replace(spec, stop_when=type(spec.stop_when)()),
        home=tmp_path,
        name="plain",
        surroundings=HERE,
    )
    assert plain.best.params == whole.best.params
    progress, replayed = Progress(), SweepState(spec, record=lambda event: None)
    for event in read_journal(folder.path):
        progress.apply(event)
    replayed.replay(read_journal(folder.path))
    assert progress.counts == replayed.counts == whole.counts
    assert progress.best.trial == replayed.best.number == whole.best.number
    states = [trial.state.name for trial in replayed.memory.trials()]
    assert states == ["COMPLETE"] * 6, "the sampler never saw a stopped one"


def test_a_kill_behind_the_rule_changes_nothing(small_spec, folder):
    spec = small_spec(early_stopping=None, stop_when={"epochs": 3})
    start_sweep(spec, home=folder.home, name="small", surroundings=HERE)
    lines = folder.journal.read_text().splitlines(keepends=True)
    folder.journal.write_text("".join(lines[:-2]))  # neither the trial's end nor the sweep's
    result = resume_sweep(folder, surroundings=HERE)
    assert result.ended_by == "3 epochs are trained (stop_when.epochs)"
    assert [event.reason for event in kinds(read_journal(folder.path), SweepEnded)] == [result.ended_by]


def test_the_terminal_and_mlflow_name_the_rule(write_spec, folder, capsys):
    path = write_spec(early_stopping=None)
    run_sweep(
        path,
        name=None,
        or_resume=False,
        learn_from=(),
        assignments=["stop_when.epochs=3"],
        home=folder.home,
        as_json=False,
        executor="in-process",
        ray_address=None,
        cpus=None,
        gpus=None,
    )
    line = "ended by a rule: 3 epochs are trained (stop_when.epochs)"
    how = as_typed(f"`ubn-sweep resume {folder.typed} --set stop_when...` goes on")
    assert f"{line}; {how}" in capsys.readouterr().err
    sweep_status("small", home=folder.home, as_json=False)
    assert line in capsys.readouterr().err
    sweep_id = read_journal(folder.path)[0].sweep_id
    parent = parent_run(folder.default_tracking_uri, sweep_id=sweep_id)
    assert parent.data.tags["ubn_sweep.reason"] == "3 epochs are trained (stop_when.epochs)"


@pytest.mark.parametrize(
    "rule", [{"hours": 0}, {"epochs": 0}, {"trials_without_progress": -1}, {"target": float("inf")}]
)
def test_a_rule_that_makes_no_sense_is_refused(write_spec, rule):
    with pytest.raises(UserError, match=f"stop_when: .*{next(iter(rule))}"):
        load_spec(write_spec(stop_when=rule))
