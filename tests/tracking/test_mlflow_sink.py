"""Runs on a real SQLite store."""

import dataclasses
import math
import re

import pytest

from tests.tracking.builders import (
    SPEC,
    STATUS_OF,
    SWEEP_ID,
    created,
    started,
    sweep_events,
    trial_events,
    write_journal,
)
from tests.tracking.reading import all_runs, check, history, parent_run, trial_runs
from ubn_sweep.records.events import (
    AttemptStarted,
    EpochReported,
    SpecChanged,
    SweepEnded,
    SweepInterrupted,
    TrialEnded,
    TrialRetried,
)
from ubn_sweep.tracking.delivery.deliver import Delivery
from ubn_sweep.tracking.mlflow import entries
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.runs import parent_run_id, trial_run_id, trial_run_ids
from ubn_sweep.tracking.mlflow.store import MlflowStore
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink


def deliver_all(folder, batch_events=500, uri=None):
    sink = SweepSink(folder, uri if uri is not None else folder.default_tracking_uri)
    delivery = Delivery(folder, sink, batch_events=batch_events)
    while delivery.deliver_batch():
        pass
    return sink


@pytest.mark.parametrize("batch_events", [2, 500])
def test_a_store_holds_exactly_what_happened(folder, batch_events):
    events = sweep_events(8, extra=3)
    write_journal(folder.path, events)
    deliver_all(folder, batch_events)
    check(folder.default_tracking_uri, events)


def test_the_parent_run(folder):
    events = sweep_events(8)
    write_journal(folder.path, events)
    deliver_all(folder, 5)
    uri = folder.default_tracking_uri
    parent = parent_run(uri)
    assert parent.info.status == "FINISHED"
    assert parent.info.end_time == round(events[-1].time_s * 1000)
    assert parent.data.metrics["trials_completed"] == 2
    assert parent.data.metrics["trials_diverged"] == 2
    # Trials 0 and 4 are completed; 4 is better by the builders' rule. Trial 5 was stopped and does not compare.
    assert parent.data.tags["ubn_sweep.best_trial"] == "4"
    assert parent.data.metrics["best_val_top1"] == trial_runs(uri)[4].data.metrics["val_top1"]
    assert sorted(step for step, _, _ in history(uri, parent)["trials_failed"]) == list(range(1, 9))
    assert parent.data.params["search.trials"] == "8"
    assert [item.path for item in connect(uri).list_artifacts(parent.info.run_id)] == ["spec.yaml"]
    assert (
        connect(uri)
        .get_run(parent.info.run_id)
        .info.artifact_uri.startswith(folder.default_artifact_root.as_uri())
    )


def test_runs_say_what_and_how(folder):
    write_journal(folder.path, sweep_events(4))
    deliver_all(folder)
    run = trial_runs(folder.default_tracking_uri)[1]
    assert run.info.run_name == "small-0001"
    expected = {
        "ubn_sweep.sweep": "small",
        "ubn_sweep.sweep_id": SWEEP_ID,
        "ubn_sweep.trial": "1",
        "ubn_sweep.status": "stopped",
        "ubn_sweep.reason": "made up: stopped",
        "ubn_sweep.origin": "random",
        "ubn_sweep.seed": "1",
        "ubn_sweep.git_revision": "a" * 40,
        "mlflow.source.git.commit": "a" * 40,
        "ubn_sweep.version.torch": "2.8.0",
        "ubn_sweep.last_epoch": "2",
    }
    assert expected.items() <= run.data.tags.items()


def test_parameters_compare_across_trials(folder):
    write_journal(folder.path, sweep_events(8))
    deliver_all(folder)
    runs = trial_runs(folder.default_tracking_uri)
    assert len({frozenset(run.data.params) for run in runs.values()}) == 1
    assert {run.data.params["norm.gate"] for run in runs.values()} == {"true", "false"}
    assert runs[0].data.params["norm.scaling"] == "none"
    assert runs[1].data.params["norm.threshold"] == "none"
    assert re.fullmatch(r"\d\.\d+", runs[2].data.params["norm.threshold"])
    assert not any(name.startswith("provenance") for name in runs[0].data.params)


def test_the_filter_for_the_ui(folder):
    write_journal(folder.path, sweep_events(5))
    deliver_all(folder)
    client = connect(folder.default_tracking_uri)
    experiment = client.get_experiment_by_name("ubn-sweep").experiment_id
    found = client.search_runs([experiment], entries.ui_filter("small"))
    assert sorted(int(run.data.tags["ubn_sweep.trial"]) for run in found) == [0, 1, 2, 3, 4]
    assert len(client.search_runs([experiment], entries.ui_filter("other"))) == 0
    assert len(client.search_runs([experiment], "attributes.status = 'KILLED'")) == 1
    uri = folder.default_tracking_uri
    assert trial_run_id(uri, SWEEP_ID, 3) == trial_runs(uri)[3].info.run_id
    assert parent_run_id(uri, SWEEP_ID) == parent_run(uri).info.run_id
    assert trial_run_id(uri, SWEEP_ID, 99) is None
    assert trial_run_ids(uri, SWEEP_ID) == {trial: run.info.run_id for trial, run in trial_runs(uri).items()}


@pytest.mark.parametrize("batch_events", [3, 500])
def test_delivered_again_changes_nothing(folder, batch_events):
    events = sweep_events(8)
    write_journal(folder.path, events)
    sink = deliver_all(folder, 4)
    before = sorted(run.info.run_id for run in all_runs(folder.default_tracking_uri))
    sink.cursor.unlink()
    deliver_all(folder, batch_events)
    check(folder.default_tracking_uri, events)
    assert sorted(run.info.run_id for run in all_runs(folder.default_tracking_uri)) == before
    assert parent_run(folder.default_tracking_uri).data.metrics["trials_completed"] == 2


def test_a_resumed_sweep_goes_on_in_its_runs(folder):
    events = sweep_events(8)
    cut = len(events) // 2
    write_journal(folder.path, events[:cut])
    deliver_all(folder)
    write_journal(folder.path, events[cut:])
    deliver_all(folder)
    check(folder.default_tracking_uri, events)
    assert parent_run(folder.default_tracking_uri).data.metrics["trials_completed"] == 2


def test_a_running_trial_is_seen_running(folder):
    write_journal(folder.path, [started(), *trial_events(0)[:3]])
    deliver_all(folder)
    run = trial_runs(folder.default_tracking_uri)[0]
    assert (run.info.status, run.data.tags["ubn_sweep.status"]) == ("RUNNING", "running")
    assert parent_run(folder.default_tracking_uri).info.status == "RUNNING"


def test_a_request_that_failed_after_it_worked_makes_no_second_run(folder, monkeypatch):
    """The server creates the run, and the answer is lost."""
    events = sweep_events(6)
    write_journal(folder.path, events)
    uri = folder.default_tracking_uri
    sink = SweepSink(folder, uri)
    create, calls = MlflowStore.create, []

    def create_and_fail(self, *arguments):
        found = create(self, *arguments)
        calls.append(found)
        if len(calls) % 2 == 1:
            raise ConnectionError("lost")
        return found

    monkeypatch.setattr(MlflowStore, "create", create_and_fail)
    delivery = Delivery(folder, sink, batch_events=5)
    for _ in range(50):
        try:
            if not delivery.deliver_batch():
                break
        except ConnectionError:
            continue
    assert len(calls) == 7
    check(uri, events)


def test_a_second_run_that_came_too_late_is_removed(folder):
    events = sweep_events(4)
    write_journal(folder.path, events)
    sink = deliver_all(folder)
    client = connect(folder.default_tracking_uri)
    run = trial_runs(folder.default_tracking_uri)[2]
    client.create_run(run.info.experiment_id, tags=dict(run.data.tags))
    sink.cursor.unlink()
    deliver_all(folder)
    check(folder.default_tracking_uri, events)


def test_a_run_that_someone_deleted_stays_deleted_and_holds_up_nothing(folder):
    events = sweep_events(8)
    cut = len(events) // 2
    write_journal(folder.path, events[:cut])
    sink = SweepSink(folder, folder.default_tracking_uri)
    delivery = Delivery(folder, sink)
    delivery.deliver_batch()
    runs = trial_runs(folder.default_tracking_uri)
    connect(folder.default_tracking_uri).delete_run(runs[0].info.run_id)
    write_journal(folder.path, events[cut:])
    while delivery.deliver_batch():
        pass
    assert sorted(trial_runs(folder.default_tracking_uri)) == [1, 2, 3, 4, 5, 6, 7]
    sink.cursor.unlink()
    deliver_all(folder)
    assert sorted(trial_runs(folder.default_tracking_uri)) == [1, 2, 3, 4, 5, 6, 7]


def test_a_store_that_was_deleted_is_filled_again(folder):
    events = sweep_events(4)
    write_journal(folder.path, events)
    deliver_all(folder)
    (folder.home / "mlflow.db").rename(folder.home / "old.db")
    moved = dataclasses.replace(folder, home=folder.home.rename(folder.home.with_name("moved")))
    deliver_all(moved)
    check(moved.default_tracking_uri, events)


def test_limits_of_mlflow_are_kept(folder):
    many = {f"similarity/layer{index}": index / 3 for index in range(2400)}
    odd = {"a%b": 1.0, "../up": 2.0, "x" * 400: 3.0, "nan": math.nan, "inf": math.inf, "minus": -math.inf}
    first = created(0)
    config = first.config | {"long": "y" * 9000, "wide": {f"key{index}": index for index in range(250)}}
    events = [
        started(),
        dataclasses.replace(first, config=config),
        EpochReported(time_s=1.0e9, trial=0, epoch=1, metrics=many | odd),
        TrialEnded(time_s=1.0e9 + 1, trial=0, status="failed", epoch=1, reason="z" * 20000),
    ]
    write_journal(folder.path, events)
    sink = deliver_all(folder)
    run = trial_runs(folder.default_tracking_uri)[0]
    assert (sink.refused, sink.last_refusal) == (0, None)
    assert len(run.data.metrics) == 2406
    assert {"a_b", "up", "x" * 250} <= set(run.data.metrics)
    assert len(run.data.params) == 11 + 251
    assert len(run.data.tags["ubn_sweep.reason"]) == entries.TAG_LENGTH


def test_two_sweeps_of_one_name_keep_apart(folder, tmp_path):
    other = dataclasses.replace(folder, name="other")
    second = started(sweep_id="f" * 32)
    write_journal(folder.path, sweep_events(4))
    write_journal(other.path, sweep_events(4, first=second))
    deliver_all(folder)
    deliver_all(other)
    uri = folder.default_tracking_uri
    check(uri, sweep_events(4))
    check(uri, sweep_events(4), sweep_id="f" * 32)


def test_min_objective_finds_the_smallest(folder):
    spec = {**SPEC, "objective": {"metric": "val_loss", "mode": "min"}}
    write_journal(folder.path, sweep_events(8, first=dataclasses.replace(started(), spec=spec)))
    deliver_all(folder)
    metrics = parent_run(folder.default_tracking_uri).data.metrics
    runs = trial_runs(folder.default_tracking_uri)
    losses = [runs[trial].data.metrics["val_loss"] for trial in runs if STATUS_OF[trial % 4] == "completed"]
    assert metrics["best_val_loss"] == min(losses)


def test_an_interrupted_sweep_is_closed_and_opened_again_by_the_next_attempt(folder):
    events = sweep_events(3)[:-1]
    late_s = events[-1].time_s
    broken = SweepInterrupted(time_s=late_s + 1, word="paused")
    write_journal(folder.path, [*events, broken])
    deliver_all(folder)
    parent = parent_run(folder.default_tracking_uri)
    assert (parent.info.status, parent.data.tags["ubn_sweep.status"]) == ("KILLED", "paused")
    assert parent.info.end_time == round(broken.time_s * 1000)
    write_journal(folder.path, [AttemptStarted(time_s=late_s + 2, attempt=2)])
    deliver_all(folder)
    parent = parent_run(folder.default_tracking_uri)
    assert (parent.info.status, parent.data.tags["ubn_sweep.status"]) == ("RUNNING", "running")
    more = SpecChanged(
        time_s=late_s + 3, spec={**SPEC, "search": {"trials": 4}}, changes={"search.trials": 4}
    )
    write_journal(folder.path, [more, SweepEnded(time_s=late_s + 4)])
    deliver_all(folder)
    parent = parent_run(folder.default_tracking_uri)
    assert (parent.info.status, parent.data.tags["ubn_sweep.status"]) == ("FINISHED", "completed")


def test_a_trial_that_goes_on_runs_again_until_its_new_end(folder):
    events = sweep_events(2)
    write_journal(folder.path, events)
    deliver_all(folder)
    stopped = next(event for event in events if isinstance(event, TrialEnded) and event.status == "stopped")
    late_s = events[-1].time_s
    again = TrialRetried(time_s=late_s + 1, trial=stopped.trial, was="stopped", reason="the sweep goes on")
    write_journal(folder.path, [again, AttemptStarted(time_s=late_s + 2, attempt=2)])
    deliver_all(folder)
    run = trial_runs(folder.default_tracking_uri)[stopped.trial]
    assert (run.info.status, run.data.tags["ubn_sweep.status"]) == ("RUNNING", "running")
    ended = dataclasses.replace(stopped, time_s=late_s + 3, status="completed", epoch=4, reason="")
    reason = "4 epochs are trained (stop_when.epochs)"
    write_journal(folder.path, [ended, SweepEnded(time_s=late_s + 4, reason=reason)])
    deliver_all(folder)
    run = trial_runs(folder.default_tracking_uri)[stopped.trial]
    assert (run.info.status, run.data.tags["ubn_sweep.status"]) == ("FINISHED", "completed")
    assert run.data.tags["ubn_sweep.reason"] == ""
    parent = parent_run(folder.default_tracking_uri)
    assert parent.data.tags["ubn_sweep.reason"] == reason
    assert parent.data.metrics["trials_stopped"] == 0
