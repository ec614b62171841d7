"""PostgreSQL for real, as MLflow's store and as Optuna's."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna
import pytest

from tests.support.processes import REPOSITORY, descendants, kill_all, wait_until
from tests.tracking.builders import started, sweep_events, sync_sweep, write_journal
from tests.tracking.reading import check
from tests.tracking.servers import POSTGRES_FOLDERS, PostgresServer, free_port
from tests.tracking.test_ui import answers
from ubn_sweep.records.journal import Journal
from ubn_sweep.tracking.delivery.follower import Follower, Pace
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink
from ubn_sweep.tracking.optuna.mirror import StudyMirror, study_name
from ubn_sweep.tracking.uri import with_driver

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not POSTGRES_FOLDERS, reason="PostgreSQL's programs are not in /usr/lib/postgresql"),
]
QUICK = Pace(poll_s=0.05, first_retry_s=0.1, longest_retry_s=0.5)


@pytest.fixture(scope="module")
def server():
    # Outside pytest's folders, which each session of pytest closes to other users, such as the server's.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o711)
        found = PostgresServer(Path(folder) / "server")
        found.start()
        yield found
        found.stop()


@contextlib.contextmanager
def following(folder, sink):
    follower = Follower(folder, sink, pace=QUICK, batch_events=6)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop(10)


@pytest.mark.slow
def test_mlflow_on_postgres_that_crashes_and_comes_back(folder, server):
    events = sweep_events(12)
    half = len(events) // 2
    with Journal(folder.path) as journal, following(folder, SweepSink(folder, server.uri)) as follower:
        for event in events[:half]:
            journal.append(event)
        wait_until(lambda: follower.lag < half // 2, timeout_s=120)
        server.stop()
        for event in events[half:]:
            journal.append(event)
        assert not follower.wait_until_caught_up(1)
        assert follower.last_error is not None
        server.start()
        assert follower.wait_until_caught_up(60)
    check(server.uri, events)
    assert sync_sweep(folder, server.uri, from_start=True)[1].trials == 12
    check(server.uri, events)


def test_optuna_on_postgres(folder, server):
    events = sweep_events(8)
    write_journal(folder.path, events)
    uri = server.new_database("optuna")
    with following(folder, StudyMirror(folder, uri, lambda params: ({}, {}))) as follower:
        assert follower.wait_until_caught_up(60), follower.last_error
    study = optuna.load_study(study_name=study_name(started()), storage=with_driver(uri))
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "FAIL"] * 2
    assert list(study.trials[1].intermediate_values) == [1, 2]


SERVE = """
import os, sys
from ubn_sweep.tracking.mlflow.ui import serve_ui
serve_ui(os.environ["STORE"], port=int(sys.argv[1]))
"""


@pytest.mark.slow
def test_the_uis_password_stands_on_no_command_line(server):
    """The server trusts this machine, whatever the password."""
    port, password = free_port(), "hunter2secret"
    store = server.new_database("shown").replace("sweeps@", f"sweeps:{password}@")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "STORE": store},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: answers(port), timeout_s=90)
        family = [process.pid, *descendants(process.pid)]
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family]
        assert len(lines) > 1
        assert b"mlflow\0server" in lines[0]
        assert not any(password.encode() in line for line in lines)
    finally:
        kill_all(process)
