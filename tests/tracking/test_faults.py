"""MLflow behind a server that dies, errs or hangs, and deliveries that are killed: all arrives, in order, once."""

import contextlib
import os
import random
import signal
import time

import pytest

from tests.support.processes import wait_until
from tests.tracking.builders import sweep_events, sync_sweep, write_journal
from tests.tracking.reading import check, parent_run
from tests.tracking.servers import MlflowServer, broken_server, python
from ubn_sweep.errors import UserError
from ubn_sweep.records.journal import Journal
from ubn_sweep.tracking.delivery.follower import Follower, Pace
from ubn_sweep.tracking.delivery.sync import attach_now
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink

QUICK = Pace(poll_s=0.05, first_retry_s=0.1, longest_retry_s=0.5)


@contextlib.contextmanager
def following(folder, uri, batch_events=8):
    sink = SweepSink(folder, uri)
    follower = Follower(folder, sink, pace=QUICK, batch_events=batch_events)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop(10)


@pytest.fixture
def server(folder):
    found = MlflowServer(folder.home / "mlflow.db")
    found.start()
    yield found
    found.kill()


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back(folder, server):
    events = sweep_events(16)
    third = len(events) // 3
    with Journal(folder.path) as journal, following(folder, server.uri) as follower:
        for event in events[:third]:
            journal.append(event)
        wait_until(lambda: follower.lag < third // 2, timeout_s=60)  # in the midst of it
        server.kill()
        slowest_s = 0.0
        for event in events[third : 2 * third]:
            began_s = time.monotonic()
            journal.append(event)
            slowest_s = max(slowest_s, time.monotonic() - began_s)
        assert not follower.wait_until_caught_up(1)
        assert follower.last_error is not None
        assert slowest_s < 0.5
        server.start()
        for event in events[2 * third :]:
            journal.append(event)
        assert follower.wait_until_caught_up(60)
    check(server.uri, events)
    parent = parent_run(server.uri)
    folder.report.write_text("<html></html>")
    assert attach_now(folder, SweepSink(folder, server.uri), [folder.report]) is None
    found = [item.path for item in connect(server.uri).list_artifacts(parent.info.run_id)]
    assert found == ["landscape.html", "spec.yaml"]


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_server_that_errs_or_hangs_holds_up_nothing(folder, seconds, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    events = sweep_events(4)
    with broken_server(seconds) as uri, following(folder, uri) as follower, Journal(folder.path) as journal:
        slowest_s = 0.0
        for event in events:
            began_s = time.monotonic()
            journal.append(event)
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            time.sleep(0.02)
        assert slowest_s < 0.5
        wait_until(lambda: follower.last_error is not None, timeout_s=20)
        assert follower.lag == len(events)
        began_s = time.monotonic()
        with pytest.raises(UserError, match=r"own process is running|could not be written"):
            sync_sweep(folder, uri)
        assert time.monotonic() - began_s < 10
    assert sync_sweep(folder)[0].delivered == len(events)
    check(folder.default_tracking_uri, events)


DELIVER = """
import sys
from pathlib import Path
from ubn_sweep.tracking.delivery.follower import Follower, Pace
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink
from ubn_sweep.records.folder import SweepFolder
import mlflow

folder = SweepFolder(home=Path(sys.argv[1]), name="small")
sink = SweepSink(folder, folder.default_tracking_uri)
follower = Follower(folder, sink, pace=Pace(poll_s=0.01), batch_events=3)
print("ready", flush=True)
follower.start()
print("done", follower.wait_until_caught_up(60), flush=True)
"""


def kill_at_random_moments(folder, times, seed):
    generator = random.Random(seed)
    for _ in range(times):
        process = python(DELIVER, str(folder.home))
        assert process.stdout.readline() == "ready\n"
        time.sleep(generator.uniform(0.0, 1.5))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_the_same(folder):
    events = sweep_events(16)
    write_journal(folder.path, events)
    kill_at_random_moments(folder, times=4, seed=1)
    assert sync_sweep(folder)[1].trials == 16
    check(folder.default_tracking_uri, events)


@pytest.mark.slow
def test_killed_often_with_no_store_at_first_and_cursors_lost(folder):
    (folder.home / "mlflow.db").unlink()
    events = sweep_events(40)
    write_journal(folder.path, events)
    for seed in range(4):
        kill_at_random_moments(folder, times=4, seed=seed)
        if seed % 2 == 0:
            SweepSink(folder, folder.default_tracking_uri).cursor.unlink(missing_ok=True)
    assert sync_sweep(folder)[1].trials == 40
    check(folder.default_tracking_uri, events)
    assert len(list(folder.home.glob(".mlflow.db*"))) <= 2  # of the last one killed while it made the store


@pytest.mark.slow
def test_hundreds_of_runs(folder, capsys):
    events = sweep_events(400, extra=12)
    metrics = sum(len(getattr(event, "metrics", {})) for event in events)
    write_journal(folder.path, events)
    began_s = time.monotonic()
    _, sink = sync_sweep(folder)
    took_s = time.monotonic() - began_s
    with capsys.disabled():
        print(f"\n400 runs, {metrics} metrics into SQLite: {took_s:.0f} s, {metrics / took_s:.0f} metrics/s")
    assert (sink.trials, sink.refused) == (400, 0)
    began_s = time.monotonic()
    _, again = sync_sweep(folder, from_start=True)
    with capsys.disabled():
        print(f"offered again: {time.monotonic() - began_s:.0f} s")
    assert again.trials == 400
    check(folder.default_tracking_uri, events)
