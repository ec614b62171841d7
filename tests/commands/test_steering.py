"""`list`, `status`, `stop` and `pause`, given from another process than the sweep's own."""

import json
import os
import signal

import pytest
import yaml

from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import call_cli, kill_all, run_cli, start_cli, wait_until
from tests.sweep.conftest import SPEC
from ubn_sweep.records.events import SweepInterrupted, TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.standing import Standing
from ubn_sweep.sweep.running import control, presence

RUN = ["run", "small.yaml", "--name", "held", "--executor", "in-process"]


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path / "sweeps", name="held")


@pytest.fixture
def running(tmp_path, folder):
    """A sweep of 8 trials that takes a while, in a process of its own, its first epoch reported."""
    spec = {
        **SPEC,
        "base": {"training": {"epochs": 100}},
        "search": {"trials": 8, "sampler": "random"},
        "early_stopping": None,
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(spec))
    process = start_cli(RUN, cwd=tmp_path, TEST_EPOCH_S="0.5")
    wait_until(lambda: folder.journal.exists() and b'"epoch"' in folder.journal.read_bytes(), timeout_s=120)
    yield process
    if process.poll() is None:
        kill_all(process)


def facts(tmp_path):
    return json.loads(call_cli(["status", "held", "--json"], cwd=tmp_path).stdout)


@pytest.mark.slow
def test_a_running_sweep_is_seen_steered_and_paused(tmp_path, folder, running):
    seen = facts(tmp_path)
    assert (seen["state"], seen["total"]) == ("running", 8)
    told = run_cli(["stop", "held", "--trial", "0"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr

    def ends():
        return [event for event in read_journal(folder.path) if isinstance(event, TrialEnded)]

    wait_until(ends, timeout_s=60)
    assert (ends()[0].trial, ends()[0].status, ends()[0].reason) == (0, "stopped", "stopped by the user")
    told = run_cli(["pause", "held"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "error: paused; go on with it by `ubn-sweep resume held`" in err
    assert [e.word for e in read_journal(folder.path) if isinstance(e, SweepInterrupted)] == ["paused"]
    assert facts(tmp_path)["state"] == "paused"
    listed = json.loads(call_cli(["list", "--json"], cwd=tmp_path).stdout)
    assert [(item["sweep"], item["state"]) for item in listed["sweeps"]] == [("held", "paused")]
    refused = call_cli(["stop", "held"], cwd=tmp_path)
    assert (refused.returncode, "is not running, but paused" in refused.stderr) == (2, True)
    done = call_cli(["resume", "held", "--executor", "in-process"], cwd=tmp_path, TEST_EPOCH_S="0")
    assert done.returncode == 0, done.stderr
    assert facts(tmp_path)["state"] == "finished"


def test_a_killed_sweep_is_interrupted_at_once(tmp_path, folder, running):
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    assert folder.driver.exists()
    assert facts(tmp_path)["state"] == "interrupted"
    told = call_cli(["status", "held"], cwd=tmp_path)
    assert "ubn-sweep resume held" in told.stderr


def test_a_process_of_another_machine_is_alive_while_it_touches_its_file(tmp_path, monkeypatch):
    path = tmp_path / "driver"
    presence.appear(path)
    assert presence.is_alive(path)
    monkeypatch.setattr(presence, "_machine", lambda: "another")
    assert presence.is_alive(path)
    os.utime(path, (0, 0))
    assert not presence.is_alive(path)
    presence.touch(path)
    assert presence.is_alive(path)


def test_an_order_of_before_is_void(folder):
    control.order_stop(folder, "stopped")
    with control.listening(folder) as ear:
        assert not list(folder.control.iterdir())
    assert ear.word is None


def test_sums_of_a_made_up_sweep(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(12, ended=False))
    standing = Standing.of(read_journal(folder.path))
    assert (standing.created, standing.total, standing.progress.ended) == (12, 12, 12)
    assert standing.state(alive=True) == "running"
    assert standing.best_text == f"{standing.best_value:.4g}"
    told = call_cli(["list", "--home", str(tmp_path)], cwd=tmp_path)
    assert "made-up" in told.stderr
    assert "12/12" in told.stderr
