"""A running sweep's metrics, as Prometheus finds them on a node of a real Ray."""

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter

import pytest
import yaml

from tests.support.processes import REPOSITORY, kill_all, start_cli, wait_until
from tests.support.ray_nodes import free_port, head
from tests.sweep.conftest import SPEC
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.monitoring import GAUGES, samples_of
from ubn_sweep.sweep.explaining.outlook import Watcher

DOCKER = REPOSITORY / "docker"
LINE = re.compile(r"^ray_(ubn_sweep_\w+)\{(.*)\} (\S+)$")
OWN = ("state", "store", "metric")


def small(samples):
    """(name, own label) -> value."""
    return {
        (sample.name, *(sample.labels[key] for key in OWN if key in sample.labels)): sample.value
        for sample in samples
    }


def test_the_states_of_all_trials_add_up_whatever_becomes_of_them(small_spec):
    """Trial 3 fails, trial 4 diverges, the others wait at rungs; the sum stays what was asked for."""
    state = SweepState(
        small_spec(early_stopping={"kind": "promote", "grace_epochs": 1}), record=lambda event: None
    )
    watcher = Watcher(state)
    seen, running = set(), []
    for step in range(200):
        if len(running) < 3 and (trial := state.next_trial()) is not None:
            running.append(trial.number)
        if not running:
            break
        number = running[step % len(running)]
        epoch = state.trials[number].epoch + 1
        if number == 3:
            state.end(number, "failed")
        else:
            state.report(number, epoch, {"val_top1": float("nan") if number == 4 else number * epoch / 100})
        if state.trials[number].status is not None or number in state.waiting:
            running.remove(number)
        found = small(samples_of(state, watcher.look(), {"MLflow": 3}))
        by_state = {key[1]: value for key, value in found.items() if key[0] == "ubn_sweep_trials"}
        assert sum(by_state.values()) == 10
        assert by_state["waiting"] == len(state.waiting)
        assert by_state["running"] == len(running)
        assert found["ubn_sweep_epochs_spent",] == sum(trial.epoch for trial in state.trials.values())
        assert found["ubn_sweep_epochs_forecast",] >= found["ubn_sweep_epochs_spent",]
        assert found["ubn_sweep_records_waiting", "MLflow"] == 3
        assert {name for name, *_ in found} <= set(GAUGES)
        seen |= {name for name, count in by_state.items() if count}
    assert state.finished
    assert seen == {"planned", "running", "waiting", "completed", "stopped", "failed", "diverged"}
    assert found["ubn_sweep_epochs_forecast",] == found["ubn_sweep_epochs_spent",]


def test_what_is_not_known_has_no_sample(small_spec):
    state = SweepState(small_spec(), record=lambda event: None)
    names = {sample.name for sample in samples_of(state, Watcher(state).look(), {})}
    assert names.isdisjoint({"ubn_sweep_best", "ubn_sweep_left_seconds", "ubn_sweep_records_waiting"})


TASK = """
import time
from tests.support.trainables import train_to

def train(trial):
    train_to(trial, lambda epoch: time.sleep(600 if (trial.number, epoch) == (2, 3) else 0))
"""


def scraped(port):
    """What the node's agent shows of sweeps: (name, own label) -> value, and how often each is there."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    found, times = {}, Counter()
    for name, written, value in (match.groups() for line in text.splitlines() if (match := LINE.match(line))):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', written))
        assert labels["sweep"] == "small"
        key = (name, *(labels[own] for own in OWN if own in labels))
        found[key] = float(value)
        times[key] += 1
    return found, times


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A sweep on a cluster with its dashboard, in whose trial 2 nothing moves any more: its folder, and two ports."""
    pytest.importorskip("opentelemetry.exporter.prometheus", reason="pip install 'ubn-sweep[cluster]'")
    folder, metrics, dashboard = tmp_path_factory.mktemp("held"), free_port(), free_port()
    (folder / "my_watched_task.py").write_text(TASK)
    spec = {
        **SPEC,
        "task": "my_watched_task:train",
        "search": {"trials": 5, "sampler": "random"},
        "early_stopping": None,
        "base": {"training": {"epochs": 5}},
        "tracking": {"uri": "http://127.0.0.1:1"},  # nobody listens: all records wait
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(spec))
    ports = [
        f"--metrics-export-port={metrics}", "--include-dashboard=true", "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}", "--dashboard-agent-listen-port=0",
    ]  # fmt: skip
    quick = {"RAY_metrics_report_interval_ms": "1000"}
    with head(folder / "head", *ports, cpus=1, **quick) as address:
        process = start_cli(["run", "small.yaml", "--ray-address", address], cwd=folder, **quick)
        try:
            yield folder, metrics, dashboard
        finally:
            kill_all(process)


AT_THE_HALT = {
    ("ubn_sweep_trials", "planned"): 1,
    ("ubn_sweep_trials", "running"): 2,  # one of them waits for the processor
    ("ubn_sweep_trials", "completed"): 2,
    ("ubn_sweep_epochs_spent",): 12,
    ("ubn_sweep_epochs_forecast",): 25,
}


@pytest.mark.slow
def test_a_sweeps_metrics_are_where_rays_are(held):
    folder, metrics, dashboard = held
    try:
        wait_until(lambda: AT_THE_HALT.items() <= scraped(metrics)[0].items(), timeout_s=120, poll_s=0.5)
    except TimeoutError as error:
        raise AssertionError(scraped(metrics)[0]) from error
    there, times = scraped(metrics)
    journal = SweepFolder(home=folder / "sweeps", name="small").journal
    assert there["ubn_sweep_records_waiting", "MLflow"] == len(journal.read_text().splitlines())
    assert ("ubn_sweep_best", "val_top1") in there
    assert set(times.values()) == {1}
    # Who scrapes is told of the node by the head, if it has the token.
    nodes = f"http://127.0.0.1:{dashboard}/api/prometheus/sd"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(nodes, timeout=10)
    token = {"Authorization": f"Bearer {os.environ['RAY_AUTH_TOKEN']}"}
    with urllib.request.urlopen(urllib.request.Request(nodes, headers=token), timeout=10) as answer:
        ((labels, targets),) = ((item["labels"], item["targets"]) for item in json.load(answer))
    assert labels == {"job": "ray"}
    assert str(metrics) in {target.rpartition(":")[2] for target in targets}


def panels():
    """(title, query) of each line in the dashboard's panels, for one sweep."""
    content = json.loads((DOCKER / "grafana.json").read_text())
    return [
        (panel["title"], target["expr"].replace("$sweep", "small"))
        for panel in content["panels"]
        for target in panel["targets"]
    ]


def test_the_dashboard_shows_every_metric_and_no_other():
    asked = {name for _, query in panels() for name in re.findall(r"ray_(ubn_sweep_\w+)", query)}
    assert asked == set(GAUGES) - {
        "ubn_sweep_epochs_per_second"
    }  # Prometheus tells that for any span of time


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Prometheus: apt-get install prometheus")
def test_prometheus_as_compose_has_it_finds_all_that_the_dashboard_asks(held, tmp_path):
    _, _, dashboard = held
    port, token = free_port(), tmp_path / "token"
    token.write_text(os.environ["RAY_AUTH_TOKEN"])
    config = (DOCKER / "prometheus.yml").read_text().replace("15s", "1s")
    config = config.replace("head:8265", f"127.0.0.1:{dashboard}").replace(
        "/run/secrets/ray_token", str(token)
    )
    (tmp_path / "prometheus.yml").write_text(config)
    command = ["prometheus", "--config.file=prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            text=True,
        )

    def found(query):
        address = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except (urllib.error.URLError, ConnectionError):
            return []

    try:
        for title, query in panels():
            try:
                wait_until(lambda query=query: found(query), timeout_s=60, poll_s=0.2)
            except TimeoutError as error:
                raise AssertionError(
                    f"{title}: nothing for {query}\n{(tmp_path / 'log').read_text()}"
                ) from error
        ((_, spent),) = (item["value"] for item in found("ray_ubn_sweep_epochs_spent"))
        assert spent == "12"
    finally:
        kill_all(process)
