"""Trials that fail: counted, tried again, and told; here in-process, since the rules are the same on Ray."""

import dataclasses

import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.records.attempts import Attempts
from ubn_sweep.records.environment import changed_environment
from ubn_sweep.records.events import AttemptStarted, EpochReported, TrialEnded, TrialFault, TrialRetried
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.progress import Progress
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, resume_sweep, start_sweep
from ubn_sweep.training.trial import Report

TASKS = "tests.support.trainables:"


@pytest.fixture(autouse=True)
def marker(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_EPOCH_LOG", str(tmp_path / "epochs.txt"))
    monkeypatch.chdir(tmp_path)


def surroundings(told=None):
    return Surroundings(executor=InProcessExecutor(), tell=(told if told is not None else []).append)


def run(spec, tmp_path, told=None):
    return start_sweep(spec, home=tmp_path / "sweeps", name="small", surroundings=surroundings(told))


def of_kind(folder, kind):
    return [event for event in read_journal(folder) if isinstance(event, kind)]


def ends_of(result):
    return {event.trial: event for event in of_kind(result.folder, TrialEnded)}


def test_a_missing_objective_is_a_failure_that_names_it(small_spec, tmp_path):
    result = run(small_spec(task=TASKS + "report_another_metric", search={"trials": 3}), tmp_path)
    assert ends_of(result)[1].status == "failed"
    assert ends_of(result)[1].reason == "the trial reported no val_top1 (it reported val_acc)"
    assert (result.counts["failed"], result.counts["diverged"]) == (1, 0)


def test_too_little_memory_names_the_batch_size_and_stops_no_sweep(small_spec, tmp_path):
    resources = {"failures_in_a_row": 2, "trial_retries": 0}
    spec = small_spec(task=TASKS + "run_out_of_memory", search={"trials": 3}, resources=resources)
    result = run(spec, tmp_path)
    assert result.finished
    created = [event for event in read_journal(result.folder) if type(event).__name__ == "TrialCreated"]
    size = created[0].config["training"]["batch_size"]
    head = ends_of(result)[0].reason.splitlines()[0]
    assert head == f"out of memory with training.batch_size {size}: cannot allocate 3 GB"
    assert [fault.kind for fault in of_kind(result.folder, TrialFault)] == ["memory"] * 3


def test_failures_in_a_row_stop_the_sweep_which_goes_on_with_them(small_spec, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_DATA_GONE", "1")
    spec = small_spec(
        task=TASKS + "fail_while_the_data_is_gone",
        search={"trials": 20, "sampler": "random"},
        resources={"failures_in_a_row": 3},
    )
    first = run(spec, tmp_path)
    assert not first.finished
    assert first.stopped.startswith(
        "3 trials failed one after another, the last of them trial 4: FileNotFound"
    )
    assert first.counts["failed"] == 3
    # Each of them was tried twice.
    assert [fault.trial for fault in of_kind(first.folder, TrialFault)] == [2, 2, 3, 3, 4, 4]

    monkeypatch.delenv("TEST_DATA_GONE")
    told = []
    folder = SweepFolder(home=tmp_path / "sweeps", name="small")
    second = resume_sweep(folder, retry_failed=True, surroundings=surroundings(told))
    assert told == ["3 failed trials are tried again"]
    assert second.finished
    assert second.counts["failed"] == 0
    assert sum(second.counts.values()) == 20
    events = read_journal(folder.path)
    assert [event.trial for event in events if isinstance(event, TrialRetried)] == [2, 3, 4]
    # Whoever reads the journal comes to the same.
    assert all(trial.status != "failed" for trial in Trials(events))
    progress = Progress()
    for event in events:
        progress.apply(event)
    assert progress.counts == second.counts
    again = SweepState(spec, record=lambda event: None)
    again.replay(events)
    assert again.counts == second.counts


def test_faults_are_forgiven_by_progress(small_spec, tmp_path):
    """A spot machine that dies every few epochs ends no trial; one that dies at the same epoch each time does."""
    spec = small_spec(resources={"worker_deaths": 1}, early_stopping=None, search={"trials": 1})
    events = []
    state = SweepState(spec, record=events.append)
    dispatch = Dispatch(state, SweepFolder(home=tmp_path, name="small"))
    for epoch in range(1, 5):
        job = dispatch.next_job()
        assert job.known_epoch == epoch - 1
        dispatch.take(0, job.attempt, Report(epoch=epoch, metrics={"val_top1": 0.5}))
        dispatch.fault(0, job.attempt, "died", "the node was taken away")
    assert state.trials[0].status is None
    # The count outlives the sweep's own process.
    replayed = SweepState(spec, record=events.append)
    replayed.replay(list(events))
    dispatch = Dispatch(replayed, SweepFolder(home=tmp_path, name="small"), attempt=2)
    job = dispatch.next_job()
    assert job.attempt == "002-01"
    dispatch.fault(0, job.attempt, "died", "the node was taken away")
    assert replayed.trials[0].status == "failed"


def test_who_was_given_up_is_not_listened_to(small_spec, tmp_path):
    state = SweepState(small_spec(search={"trials": 1}), record=lambda event: None)
    dispatch = Dispatch(state, SweepFolder(home=tmp_path, name="small"))
    first = dispatch.next_job()
    dispatch.fault(0, first.attempt, "died", "the node does not answer")
    second = dispatch.next_job()
    assert dispatch.take(0, first.attempt, Report(epoch=1, metrics={"val_top1": 0.5})) is True
    assert state.trials[0].epoch == 0
    dispatch.fault(0, first.attempt, "died", "told twice")
    assert dispatch.take(0, second.attempt, Report(epoch=1, metrics={"val_top1": 0.5})) is False


def test_a_broken_checkpoint_falls_back_to_the_one_before(small_spec, tmp_path):
    spec = small_spec(task=TASKS + "damage_its_checkpoint", search={"trials": 1}, early_stopping=None)
    told = []
    result = run(spec, tmp_path, told)
    assert result.counts["completed"] == 1
    (line,) = told
    assert line.startswith("trial 0: the checkpoint of epoch 4 cannot be loaded (JSONDecodeError")
    trained = [int(text.split()[1]) for text in (tmp_path / "epochs.txt").read_text().splitlines()]
    assert trained == [1, 2, 3, 4, 4, 5, 6, 7, 8, 9]
    reported = [event.epoch for event in of_kind(result.folder, EpochReported)]
    assert reported == list(range(1, 10))


def test_the_best_final_checkpoints_are_kept(small_spec, tmp_path):
    spec = small_spec(
        search={"trials": 5, "sampler": "random"}, early_stopping=None, resources={"keep_best": 2}
    )
    result = run(spec, tmp_path)
    state = SweepState(spec, record=lambda event: None)
    state.replay(read_journal(result.folder))
    best = sorted(state.trials.values(), key=lambda trial: trial.score, reverse=True)[:2]
    kept = sorted((result.folder / "best").iterdir())
    assert [path.name for path in kept] == sorted(f"trial-{trial.number:04d}" for trial in best)
    assert all((path / "state.json").read_text() == "9" for path in kept)
    assert not (result.folder / "checkpoints").exists()


def last_of(events):
    """The environment of a journal's last attempt."""
    attempts = Attempts()
    for _ in attempts.passing(events):
        pass
    return attempts.environment


def test_each_attempt_records_what_it_ran_on(small_spec, tmp_path):
    result = run(small_spec(search={"trials": 1}), tmp_path)
    events = read_journal(result.folder)
    (attempt,) = [event for event in events if isinstance(event, AttemptStarted)]
    now = attempt.environment
    assert now["versions"]["optuna"]
    assert changed_environment(last_of(events), now) == []
    later = {**now, "versions": {**now["versions"], "torch": "9.9"}, "git_revision": "abc"}
    (line,) = changed_environment(last_of(events), later)
    assert line.startswith("other versions than before: torch ")
    assert "-> 9.9" in line
    assert line.endswith("-> abc")
    # The last attempt counts, not the first.
    assert (
        changed_environment(last_of([*events, dataclasses.replace(attempt, environment=later)]), later) == []
    )


def test_cuda_without_a_gpu_for_the_trial_is_refused_at_once(small_spec, tmp_path):
    spec = small_spec(base={"training": {"epochs": 9}, "device": "cuda"})
    with pytest.raises(UserError, match=r"resources.gpus_per_worker is 0"):
        run(spec, tmp_path)
    assert not (tmp_path / "sweeps").exists()
