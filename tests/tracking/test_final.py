import json
import math

import pytest

from tests.tracking.builders import ENVIRONMENT, SWEEP_ID, created
from tests.tracking.servers import broken_server, free_port
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.final import RECORDS_FILE, FinalRun

PROVENANCE = {
    "sweep": "small",
    "sweep_id": SWEEP_ID,
    "trial": 3,
    "promised_val_top1": 0.75,
    "run_id": "c" * 32,
    "git_revision": "b" * 40,
}
CONFIG = created(3).config | {"provenance": PROVENANCE}


@pytest.fixture
def uri(folder):
    return folder.default_tracking_uri


@pytest.fixture
def start(folder, tmp_path):
    def begin(uri, **changes):
        settings = {"name": "best", "config": CONFIG, "tracking_uri": uri, "environment": ENVIRONMENT}
        return FinalRun(tmp_path / "run", **{**settings, **changes})

    return begin


def read(uri):
    client = connect(uri)
    experiment = client.get_experiment_by_name("ubn-sweep")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`ubn_sweep.kind` = 'final'")
    return client, run


def train(final, epochs, report=None):
    for epoch in epochs:
        final.epoch(epoch, {"train_loss": 1 / epoch, "odd": math.nan})
    final.result({"test_top1": 0.7, "test_loss": 1.2}, step=3)
    if report is not None:
        final.artifacts([report])


def test_a_training_from_beginning_to_end(start, uri, tmp_path):
    report = tmp_path / "report.html"
    report.write_text("x")
    final = start(uri)
    train(final, (1, 2, 3), report)
    assert final.end()
    client, run = read(uri)
    assert run.info.run_id == final.run_id
    assert (run.info.status, run.info.run_name) == ("FINISHED", "best")
    assert run.data.metrics["test_top1"] == 0.7
    assert run.data.metrics["promised_val_top1"] == 0.75
    assert run.data.metrics["test_minus_promised"] == pytest.approx(-0.05)
    assert [point.step for point in client.get_metric_history(final.run_id, "train_loss")] == [1, 2, 3]
    assert run.data.params["seed"] == "3"
    expected = {
        "ubn_sweep.sweep_id": SWEEP_ID,
        "ubn_sweep.trial": "3",
        "ubn_sweep.trial_run_id": "c" * 32,
        "ubn_sweep.git_revision": "a" * 40,
        "ubn_sweep.status": "completed",
    }
    assert expected.items() <= run.data.tags.items()
    assert [item.path for item in client.list_artifacts(final.run_id)] == ["report.html"]


def test_an_interrupted_training_goes_on_in_its_run(start, uri):
    first = start(uri)
    train(first, (1, 2))
    assert first.end("interrupted")
    assert read(uri)[1].info.status == "KILLED"
    second = start(uri)
    assert read(uri)[1].info.status == "RUNNING"
    train(second, (2, 3))  # its newest checkpoint was that of epoch 1
    assert second.end()
    client, run = read(uri)
    assert second.run_id == first.run_id
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 2, 3]
    assert run.info.status == "FINISHED"


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_how_it_ended(start, uri, status):
    assert start(uri).end(status)
    run = read(uri)[1]
    assert (run.info.status, run.data.tags["ubn_sweep.status"]) == ("FAILED", status)


def test_without_a_promise(start, uri):
    final = start(uri, config=created(3).config)
    train(final, (1,))
    assert final.end()
    assert "promised_val_top1" not in read(uri)[1].data.metrics


def test_a_store_that_is_away_loses_nothing(start, uri, tmp_path, caplog):
    away = f"http://127.0.0.1:{free_port()}"
    final = start(away)
    train(final, (1, 2, 3))
    assert not final.end()
    assert final.run_id is None
    assert "MlflowException" in final.last_error
    assert len(caplog.records) == 1
    again = start(uri)
    assert again.end()
    client, run = read(uri)
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 2, 3]
    assert run.data.metrics["test_top1"] == 0.7


def test_a_hanging_store_costs_seconds_and_then_little(start, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr("ubn_sweep.tracking.mlflow.final.LAST_ATTEMPTS", 1)
    with broken_server(60) as away:
        final = start(away)
        attempts = []
        monkeypatch.setattr(final, "_deliver", lambda: attempts.append(1))
        for epoch in range(1, 50):
            final.epoch(epoch, {"train_loss": 1.0})
        assert attempts == []
    assert final.last_error is not None


def test_a_torn_line_is_passed_over(start, uri, tmp_path):
    final = start(uri)
    final.epoch(1, {"train_loss": 1.0})
    with (tmp_path / "run" / RECORDS_FILE).open("a") as file:
        file.write('{"kind": "metr')
    again = start(uri)
    again.epoch(2, {"train_loss": 0.5})
    assert again.end()
    lines = (tmp_path / "run" / RECORDS_FILE).read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["begin", "metrics", "again", "metrics", "end"]
