"""A sweep whose MLflow server is not there: it goes on, and all arrives later."""

import json

import mlflow
import pytest

from tests.support.processes import call_cli, start_cli, wait_until
from tests.tracking.servers import MlflowServer
from ubn_sweep.records.events import TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal

TRIALS = 8


@pytest.fixture
def server(tmp_path):
    server = MlflowServer(tmp_path / "server.db")
    yield server
    server.kill()


def last_json(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def statuses_in(server):
    client = mlflow.MlflowClient(tracking_uri=server.uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, filter_string="tags.`ubn_sweep.kind` = 'trial'")
    return {int(run.data.tags["ubn_sweep.trial"]): run.data.tags["ubn_sweep.status"] for run in runs}


def ends(tmp_path):
    folder = SweepFolder(home=tmp_path / "sweeps", name="small")
    events = read_journal(folder.path) if folder.journal.exists() else []
    return {event.trial: event.status for event in events if isinstance(event, TrialEnded)}


@pytest.mark.slow
def test_with_no_server_the_sweep_goes_on_and_sync_delivers(write_spec, server, tmp_path):
    spec = write_spec(search={"trials": TRIALS, "sampler": "random"}, tracking={"uri": server.uri})
    done = call_cli(["run", str(spec), "--executor", "in-process", "--json"], cwd=tmp_path)
    assert sum(last_json(done)["trials"].values()) == TRIALS
    assert "ubn-sweep sync small" in done.stderr
    down = call_cli(["sync", "small"], cwd=tmp_path)
    assert down.returncode == 2
    assert "MLflow" in down.stderr
    assert "Traceback" not in down.stderr

    server.start()
    last_json(call_cli(["sync", "small", "--json"], cwd=tmp_path))
    assert statuses_in(server) == ends(tmp_path)
    assert len(ends(tmp_path)) == TRIALS


@pytest.mark.slow
def test_a_server_that_comes_late_gets_everything_without_being_asked(write_spec, server, tmp_path):
    spec = write_spec(search={"trials": TRIALS, "sampler": "random"}, tracking={"uri": server.uri})
    process = start_cli(["run", str(spec), "--cpus", "2", "--json"], cwd=tmp_path, TEST_EPOCH_S="2.0")
    wait_until(lambda: len(ends(tmp_path)) >= 1, timeout_s=120)
    server.start()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["tracking_uri"] == server.uri
    assert statuses_in(server) == ends(tmp_path)
