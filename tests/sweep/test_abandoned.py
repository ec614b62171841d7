"""A sweep whose process was killed shows as killed, and as running again when it goes on."""

import pytest

from tests.support import journals
from tests.support.journals import write_sweep
from tests.support.processes import call_cli
from tests.tracking.builders import sweep_events, write_journal
from tests.tracking.reading import parent_run, trial_runs
from ubn_sweep.records.events import (
    AttemptStarted,
    SweepEnded,
    SweepInterrupted,
    TrialCreated,
    TrialEnded,
)
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal, read_journal
from ubn_sweep.sweep.running.abandoned import close_if_abandoned
from ubn_sweep.sweep.running.lock import sweep_lock
from ubn_sweep.tracking.delivery.sync import sync
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink

EVENTS = sweep_events(6)


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path / "sweeps", name="small")


def killed_in_the_middle(folder):
    """A journal that stops while trials run; their numbers."""
    part = EVENTS[: len(EVENTS) // 2]
    write_journal(folder.path, part)
    created = {event.trial for event in part if isinstance(event, TrialCreated)}
    running = created - {event.trial for event in part if isinstance(event, TrialEnded)}
    assert running
    return running


def deliver(folder):
    sync(folder, SweepSink(folder, folder.default_tracking_uri))
    uri = folder.default_tracking_uri
    return parent_run(uri), trial_runs(uri)


def test_its_end_is_recorded_once_and_only_where_it_has_none(folder):
    killed_in_the_middle(folder)
    last_s = read_journal(folder.path)[-1].time_s
    with sweep_lock(folder):
        assert not close_if_abandoned(folder)  # somebody runs it
    assert close_if_abandoned(folder)
    assert read_journal(folder.path)[-1] == SweepInterrupted(time_s=last_s, word="killed")
    assert not close_if_abandoned(folder)
    whole = SweepFolder(home=folder.home, name="whole")
    write_journal(whole.path, EVENTS)
    assert not close_if_abandoned(whole)
    assert len(read_journal(whole.path)) == len(EVENTS)


def test_mlflow_shows_it_killed_and_running_again_when_it_goes_on(folder):
    running = killed_in_the_middle(folder)
    parent, runs = deliver(folder)
    assert parent.info.status == "RUNNING"
    close_if_abandoned(folder)
    parent, runs = deliver(folder)
    assert (parent.info.status, parent.data.tags["ubn_sweep.status"]) == ("KILLED", "killed")
    for trial in running:
        assert (runs[trial].info.status, runs[trial].data.tags["ubn_sweep.status"]) == ("KILLED", "killed")
    with Journal(folder.path) as journal:
        journal.append(AttemptStarted(time_s=EVENTS[-1].time_s, attempt=2))
    parent, runs = deliver(folder)
    assert parent.info.status == "RUNNING"
    assert {runs[trial].info.status for trial in running} == {"RUNNING"}
    with Journal(folder.path) as journal:
        for event in EVENTS[len(EVENTS) // 2 :]:
            journal.append(event)
    parent, runs = deliver(folder)
    assert isinstance(EVENTS[-1], SweepEnded)
    assert parent.info.status == "FINISHED"
    assert "RUNNING" not in {run.info.status for run in runs.values()}


def test_sync_closes_it(tmp_path):
    running = dict.fromkeys((6, 7), "running")
    folder = write_sweep(tmp_path / "sweeps", journals.sweep_events(8, statuses=running, ended=False))
    done = call_cli(["sync", folder.name], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert isinstance(read_journal(folder.path)[-1], SweepInterrupted)
    sweep_id = read_journal(folder.path)[0].sweep_id
    assert parent_run(folder.default_tracking_uri, sweep_id=sweep_id).info.status == "KILLED"
