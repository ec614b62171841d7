"""Sweeps that are sent to a cluster's job server, which is really started, from a machine that is none of its nodes."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.support.certificates import make_certificates, tls_before
from tests.support.processes import call_cli, kill_all, run_cli, start_cli, wait_until
from tests.support.ray_nodes import free_port, head
from ubn_sweep.records.events import AttemptStarted, EpochReported
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal

pytest.importorskip(
    "opencensus", reason="Ray's part for jobs is not installed: pip install 'ubn-sweep[cluster]'"
)
pytestmark = pytest.mark.slow
TASK = """
import time
from tests.support.trainables import train_to

def train(trial):
    train_to(trial, lambda epoch: time.sleep(0.2))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a head's job server; its token is the tests' own."""
    port = free_port()
    dashboard = ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    with head(tmp_path_factory.mktemp("head"), *dashboard, "--dashboard-agent-listen-port=0", cpus=1):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def laptop(tmp_path, write_spec):
    """A folder with a spec that extends another one, and its task."""
    parent = yaml.safe_load(write_spec(task="my_sent_task:train", early_stopping=None).read_text())
    parent["search"]["trials"] = 3
    (tmp_path / "parent.yaml").write_text(yaml.safe_dump(parent))
    (tmp_path / "sent.yaml").write_text("name: sent\nextends: parent.yaml\n")
    (tmp_path / "my_sent_task.py").write_text(TASK)
    return tmp_path


def process_with(*words):
    """The process whose command line holds all of them."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found = path.read_text().split("\0")
        except OSError:
            continue
        if all(word in found for word in words):
            return int(path.parent.name)
    raise AssertionError(f"no process has {words}")


def test_a_sweep_that_was_sent_outlives_its_driver_and_its_sender(server, laptop):
    folder = SweepFolder(home=laptop / "shared", name="sent")
    command = [
        "submit",
        "sent.yaml",
        "--address",
        server,
        "--home",
        str(folder.home),
        "--set",
        "training.epochs=6",
    ]
    sender = start_cli(command, cwd=laptop)
    try:
        wait_until(lambda: folder.journal.exists() and '"epoch"' in folder.journal.read_text(), timeout_s=300)
    except TimeoutError as error:
        raise AssertionError(call_cli(["logs", "sent", "--address", server], cwd=laptop).stdout) from error
    finally:
        kill_all(sender)  # the laptop sleeps
    os.kill(process_with("ubn_sweep", "run", "spec.yaml", str(folder.home)), signal.SIGKILL)
    certificates = make_certificates(laptop / "certificates")
    with tls_before(
        int(server.rpartition(":")[2]), certificates
    ) as port:  # as through a proxy that speaks TLS
        followed = run_cli(
            ["logs", "sent", "--follow", "--address", f"https://localhost:{port}"],
            cwd=laptop,
            SSL_CERT_FILE=str(certificates.authority),
        )
    assert followed.returncode == 0, followed.stderr
    assert "out of reach" not in followed.stderr
    assert "killed by signal 9: it goes on" in followed.stderr
    assert "3/3 trials" in followed.stderr  # of a snapshot, in words
    assert followed.stderr.count("Running entrypoint") == 1
    events = read_journal(folder.path)
    assert [event.attempt for event in events if isinstance(event, AttemptStarted)] == [1, 2]
    reports = Counter((event.trial, event.epoch) for event in events if isinstance(event, EpochReported))
    assert reports == Counter((trial, epoch) for trial in range(3) for epoch in range(1, 7))

    (listed,) = json.loads(call_cli(["jobs", "--address", server, "--json"], cwd=laptop).stdout)["jobs"]
    assert (listed["sweep"], listed["state"]) == ("sent", "succeeded")
    status = call_cli(["status", "sent", "--address", server, "--json"], cwd=laptop)
    assert json.loads(status.stdout)["snapshot"]["ended"] == 3
    fetched = call_cli(["fetch", "sent", "--address", server], cwd=laptop)
    assert fetched.returncode == 0, fetched.stderr
    home = laptop / "sweeps" / "sent"
    assert (home / "journal.jsonl").read_bytes() == folder.journal.read_bytes()
    assert (home / "landscape.html").exists()
    assert call_cli(["export", "sent", "--top", "1"], cwd=laptop).returncode == 0
    over = call_cli(["stop", "sent", "--address", server], cwd=laptop)
    assert (over.returncode, "is not running, but succeeded" in over.stderr) == (2, True)


def test_a_wrong_token_is_one_line_and_no_token_is_printed(server, laptop):
    wrong = "f" * 64
    refused = run_cli(["jobs", "--address", server], cwd=laptop, RAY_AUTH_TOKEN=wrong)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: --address: {server} does not let us in: set RAY_AUTH_TOKEN")
    assert len(refused.stderr.splitlines()) == 1
    assert wrong not in refused.stdout + refused.stderr
