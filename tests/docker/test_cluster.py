"""A cluster of real containers, as docker/compose.yaml starts it: shaken while it works, and counted afterwards.

`make containers` builds the images and runs this. Each test goes on where the one before left the cluster.
"""

import json
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections import Counter

import pytest

from tests.docker.stack import Stack, last_json, why_not
from tests.support.processes import REPOSITORY

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]
SECRETS = REPOSITORY / "docker" / "secrets"
TRIALS, EPOCHS = 12, 12
SWEEP = [
    "search_spaces/quickstart.yaml",
    "--name",
    "shaken",
    "--set",
    "tracking.uri=http://mlflow:5000",
    "--set",
    f"search.trials={TRIALS}",
    "--set",
    f"training.epochs={EPOCHS}",
]


@pytest.fixture(scope="module")
def stack():
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    subprocess.run([str(REPOSITORY / "docker" / "make-secrets")], check=True)
    found = Stack("ubn-sweep-test")
    found.down()
    try:
        found.up("postgres", "mlflow", "head", "worker")
        yield found
    finally:
        found.down()


def secret(name):
    return (SECRETS / name).read_text()


def status(stack):
    """The sweep, as any process that sees the folder is told."""
    done = stack.inside("head", "ubn-sweep", "status", "shaken", "--home", "/work/sweeps", "--json")
    return last_json(done.stdout) if done.returncode == 0 else None


def ended(stack):
    found = status(stack)
    return 0 if found is None else found["ended"]


KILL = """
import os, pathlib, signal
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        command = (folder / "cmdline").read_bytes().split(b"\\0")
    except OSError:
        continue
    if b"run" in command and b"shaken" in command and int(folder.name) != os.getpid():
        os.kill(int(folder.name), signal.SIGKILL)
        print(int(folder.name))
"""
ASK = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], headers=dict(item.split("=", 1) for item in sys.argv[2:]))
try:
    print(urllib.request.urlopen(request, timeout=20).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_a_client_that_only_asks_sends_a_sweep(stack):
    done = stack.client(
        "submit", *SWEEP, "--address", "http://head:8265", "--home", "/work/sweeps", "--no-follow"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    stack.wait(lambda: ended(stack) >= 1, "the first trial ends", timeout_s=300, look_at=("head", "worker"))


def test_the_driver_is_killed_and_goes_on(stack):
    before = ended(stack)
    done = stack.inside("head", "python3", "-c", KILL)
    assert done.stdout.split(), "the driver was not found"
    stack.wait(lambda: ended(stack) > before, "trials end again", timeout_s=400)


def test_a_worker_that_is_cut_off_and_comes_back(stack):
    cut = stack.container("worker", 2)
    before = ended(stack)
    assert stack.podman("network", "disconnect", stack.network, cut).returncode == 0
    stack.wait(lambda: ended(stack) > before, "trials end without it", timeout_s=300)
    assert stack.podman("network", "connect", stack.network, cut).returncode == 0


def test_a_worker_that_is_killed(stack):
    before = ended(stack)
    killed = stack.container("worker", 1)
    assert stack.podman("kill", killed).returncode == 0
    time.sleep(5)
    stack.podman("start", killed)
    stack.wait(lambda: ended(stack) > before, "trials end again", timeout_s=400, look_at=("head", "worker"))


def test_mlflow_and_its_database_restart(stack):
    for service in ("postgres", "mlflow"):
        done = stack.podman("restart", "--time", "5", stack.container(service))
        assert done.returncode == 0, done.stderr
    for service in ("postgres", "mlflow"):
        stack.wait_until_healthy(service)


def test_the_sweep_ends(stack):
    def over():
        found = status(stack)
        return found is not None and found["state"] == "finished"

    stack.wait(over, "the sweep ends", timeout_s=900, look_at=("head", "worker"))
    assert status(stack)["attempts"] >= 2  # one of them by the driver that was killed


def test_no_trial_is_lost_and_none_is_there_twice(stack):
    journal = stack.inside("head", "cat", "/work/sweeps/shaken/journal.jsonl").stdout
    events = [json.loads(line) for line in journal.splitlines()]
    ends = Counter(event["trial"] for event in events if event["event"] == "end")
    assert ends == dict.fromkeys(range(TRIALS), 1)
    assert {event["status"] for event in events if event["event"] == "end"} <= {"completed", "stopped"}
    reached = {event["trial"]: event["epoch"] for event in events if event["event"] == "end"}
    for trial, last in reached.items():
        told = {event["epoch"] for event in events if event["event"] == "epoch" and event["trial"] == trial}
        assert told == set(range(1, last + 1)), trial


def mlflow(path, content):
    """Asks MLflow from outside, as its user."""
    request = urllib.request.Request(
        f"http://127.0.0.1:5000/api/2.0/mlflow/{path}",
        data=json.dumps(content).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": "Basic "
            + b64encode(f"admin:{secret('mlflow_admin_password')}".encode()).decode(),
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def runs_in_mlflow():
    """Each run's tags and status."""
    experiments = mlflow("experiments/search", {"max_results": 100})["experiments"]
    ids = [item["experiment_id"] for item in experiments]
    runs = mlflow("runs/search", {"experiment_ids": ids, "max_results": 1000})["runs"]
    return [
        ({tag["key"]: tag["value"] for tag in run["data"]["tags"]}, run["info"]["status"]) for run in runs
    ]


def test_mlflow_has_all_of_it(stack):
    def all_ended():
        return {status for _, status in runs_in_mlflow()} <= {"FINISHED", "KILLED"}

    # The sweep's record says that it is over before the last of it has arrived here.
    stack.wait(all_ended, "all runs have ended in MLflow", timeout_s=120, look_at=("head", "mlflow"))
    tags = [found for found, _ in runs_in_mlflow()]
    trials = [found for found in tags if found.get("ubn_sweep.kind") == "trial"]
    assert sorted(int(found["ubn_sweep.trial"]) for found in trials) == list(range(TRIALS))
    assert [found["ubn_sweep.kind"] for found in tags].count("sweep") == 1


def ask(stack, address, **headers):
    """The status that a process within the cluster's network is answered with."""
    done = stack.inside(
        "worker",
        "python3",
        "-c",
        ASK,
        address,
        *(f"{name.replace('_', '-')}={value}" for name, value in headers.items()),
    )
    assert done.returncode == 0, done.stderr[-1000:]
    return int(done.stdout)


def test_ray_answers_those_with_the_token_alone(stack):
    jobs = "http://head:8265/api/jobs/"
    assert ask(stack, jobs, Authorization=f"Bearer {secret('ray_token')}") == 200
    assert ask(stack, jobs) in (401, 403)
    assert ask(stack, jobs, Authorization="Bearer " + "0" * 48) in (401, 403)
    wrong = ("env", "RAY_AUTH_TOKEN_PATH=", "RAY_AUTH_TOKEN=" + "0" * 48)
    assert stack.inside("worker", *wrong, "ray", "health-check", "--address", "head:6379").returncode != 0


def test_mlflow_answers_its_users_under_its_own_name_alone(stack):
    search = "http://mlflow:5000/api/2.0/mlflow/experiments/search?max_results=1"
    right = "Basic " + b64encode(f"admin:{secret('mlflow_admin_password')}".encode()).decode()
    wrong = "Basic " + b64encode(b"admin:password1234").decode()
    assert ask(stack, search, Authorization=right) == 200
    assert ask(stack, search) == 401
    assert ask(stack, search, Authorization=wrong) == 401
    assert ask(stack, search, Authorization=right, Host="evil.example") == 403


def test_the_database_is_mlflows_alone(stack):
    look = "import socket; socket.create_connection(('postgres', 5432), 5)"
    assert stack.inside("worker", "python3", "-c", look).returncode != 0
    assert stack.inside("mlflow", "python3", "-c", look).returncode == 0


def test_no_list_of_processes_shows_a_secret(stack):
    values = [path.read_text() for path in SECRETS.iterdir()]
    for service in ("head", "worker", "mlflow", "postgres"):
        listed = stack.podman("top", stack.container(service), "args").stdout
        assert listed
        assert not any(value in listed for value in values), service


def test_no_container_runs_as_root_or_writes_its_own_image(stack):
    for service in ("head", "worker", "mlflow"):
        assert stack.inside(service, "id", "-u").stdout.strip() == "1000", service
        assert stack.inside(service, "touch", "/opt/venv/here").returncode != 0, service
    published = stack.podman(
        "ps", "--filter", f"name={stack.project}", "--format", "{{.Ports}}"
    ).stdout.split()
    assert published == ["127.0.0.1:5000->5000/tcp"]
