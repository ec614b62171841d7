"""A final training's run, read back from a real SQLite store: from a journal, by the engine that copies sweeps."""

import math

import pytest

from tests.tracking.builders import ENVIRONMENT, SWEEP_ID, created
from tests.tracking.servers import broken_server, free_port
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import AttemptStarted, FinalEnded, FinalEpoch, FinalStarted, FinalTested
from ubn_sweep.records.final_training import recording
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.tracking.delivery.follower import Followers
from ubn_sweep.tracking.delivery.sync import sync
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.final_sink import FinalSink

PROVENANCE = {
    "sweep": "small",
    "sweep_id": SWEEP_ID,
    "trial": 3,
    "run_id": "c" * 32,
    "git_revision": "b" * 40,
}
CONFIG = created(3).config | {"provenance": PROVENANCE}


@pytest.fixture
def uri(folder):
    return folder.default_tracking_uri


@pytest.fixture
def final(tmp_path):
    return FinalFolder(folder=tmp_path / "run")


@pytest.fixture
def record(final):
    """Opens the record of the training, as its process does when it starts."""

    class Attempt:
        def __init__(self, config=CONFIG):
            self._opened = recording(final)
            self.recorder = self._opened.__enter__()
            self.recorder.begin(name="best", config=config, tracking_uri=None, environment=ENVIRONMENT)

        def __enter__(self):
            return self.recorder

        def __exit__(self, *error):
            return self._opened.__exit__(*error)

    return Attempt


def deliver(final, uri, **settings):
    sink = FinalSink(final, uri)
    result = sync(final, sink, **settings)
    return sink, result


def read(uri):
    client = connect(uri)
    experiment = client.get_experiment_by_name("ubn-sweep")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`ubn_sweep.kind` = 'final'")
    return client, run


def train(recorder, epochs):
    for epoch in epochs:
        recorder.epoch(epoch, {"train_loss": 1 / epoch, "odd": math.nan})


def judge(recorder, promised=0.75):
    promise = {"val_top1": promised} if promised is not None else None
    difference = 0.7 - promised if promised is not None else None
    recorder.tested(
        {"test_top1": 0.7, "test_loss": 1.2}, epoch=3, promised=promise, test_minus_promised=difference
    )


def write_results(final):
    final.config.write_text("seed: 3\n")
    final.result.write_text("{}")
    final.checkpoint.mkdir()
    (final.checkpoint / "checkpoint.pt").write_bytes(b"weights")


def test_a_training_from_beginning_to_end(final, record, uri):
    with record() as recorder:
        write_results(final)
        train(recorder, (1, 2, 3))
        judge(recorder)
        recorder.end("completed")
    sink, _ = deliver(final, uri)
    client, run = read(uri)
    assert run.info.run_id == sink.run_id
    assert (run.info.status, run.info.run_name) == ("FINISHED", "best")
    assert run.data.metrics["test_top1"] == 0.7
    assert run.data.metrics["promised_val_top1"] == 0.75
    assert run.data.metrics["test_minus_promised"] == pytest.approx(-0.05)
    assert [point.step for point in client.get_metric_history(sink.run_id, "test_top1")] == [3]
    assert [point.step for point in client.get_metric_history(sink.run_id, "train_loss")] == [1, 2, 3]
    assert run.data.params["seed"] == "3"
    expected = {
        "ubn_sweep.sweep_id": SWEEP_ID,
        "ubn_sweep.trial": "3",
        "ubn_sweep.trial_run_id": "c" * 32,
        "ubn_sweep.git_revision": "a" * 40,
        "ubn_sweep.status": "completed",
    }
    assert expected.items() <= run.data.tags.items()
    found = [item.path for item in client.list_artifacts(sink.run_id)]
    assert found == ["checkpoint", "config.yaml", "result.json"]


def test_an_interrupted_training_goes_on_in_its_run(final, record, uri):
    with record() as recorder:
        train(recorder, (1, 2))
        recorder.end("interrupted")
    first, _ = deliver(final, uri)
    assert read(uri)[1].info.status == "KILLED"
    assert read(uri)[1].data.tags["ubn_sweep.status"] == "interrupted"
    with record() as recorder:
        deliver(final, uri)
        assert read(uri)[1].info.status == "RUNNING"
        assert read(uri)[1].data.tags["ubn_sweep.attempts"] == "2"
        train(recorder, (2, 3))  # its newest checkpoint was that of epoch 1
        judge(recorder)
        recorder.end("completed")
    second, _ = deliver(final, uri)
    client, run = read(uri)
    assert second.run_id == first.run_id
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 2, 3]
    assert run.info.status == "FINISHED"


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_how_it_ended(final, record, uri, status):
    with record() as recorder:
        recorder.end(status)
    deliver(final, uri)
    run = read(uri)[1]
    assert (run.info.status, run.data.tags["ubn_sweep.status"]) == ("FAILED", status)


def test_without_a_promise(final, record, uri):
    with record(created(3).config) as recorder:
        train(recorder, (1,))
        judge(recorder, promised=None)
        recorder.end("completed")
    deliver(final, uri)
    metrics = read(uri)[1].data.metrics
    assert metrics["test_top1"] == 0.7
    assert not any("promised" in name for name in metrics)


def test_a_promise_of_any_metric_goes_by_its_name(final, record, uri):
    with record() as recorder:
        recorder.tested(
            {"test_mae": 3.0}, epoch=1, promised={"val_mae": math.inf}, test_minus_promised=-math.inf
        )
    deliver(final, uri)
    assert read(uri)[1].data.metrics["promised_val_mae"] > 1e300


def test_a_store_that_is_away_loses_nothing(final, record, uri, monkeypatch):
    monkeypatch.setattr("ubn_sweep.tracking.delivery.follower.LEAST_S", 1.0)
    away = f"http://127.0.0.1:{free_port()}"
    sink = FinalSink(final, away)
    followers = Followers(final, [sink])
    with record() as recorder:
        followers.start()
        train(recorder, (1, 2, 3))
        judge(recorder)
        recorder.end("completed")
        followers.finish()
    assert sink.run_id is None
    assert "MlflowException" in followers.undelivered["MLflow"]
    _, result = deliver(final, uri)
    assert result.delivered == 7
    client, run = read(uri)
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train_loss")] == [1, 2, 3]
    assert run.data.metrics["test_top1"] == 0.7


def test_a_hanging_store_holds_up_no_epoch(final, record, monkeypatch):
    """All epochs are recorded while the store's first answer is still being waited for."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with broken_server(60) as away, record() as recorder:
        followers = Followers(final, [FinalSink(final, away)])
        followers.start()
        train(recorder, range(1, 50))
        assert len(recorder.record.epochs) == 49
        followers.finish(patience_s=1.5)
    assert list(followers.undelivered) == ["MLflow"]
    assert sum(isinstance(event, FinalEpoch) for event in read_journal(final.path)) == 49


def test_files_that_could_not_be_put_there_come_later(final, record, uri, monkeypatch):
    with record() as recorder:
        write_results(final)
        train(recorder, (1,))
        judge(recorder)
        recorder.end("completed")
    with monkeypatch.context() as broken:

        def full(self, paths):
            raise OSError("no space left")

        broken.setattr(FinalSink, "attach", full)
        with pytest.raises(UserError, match="no space left"):
            deliver(final, uri)
        assert read(uri)[1].data.metrics["test_top1"] == 0.7  # the numbers did not wait for the files
    deliver(final, uri)
    client, run = read(uri)
    assert len(client.list_artifacts(run.info.run_id)) == 3
    assert len(client.get_metric_history(run.info.run_id, "test_top1")) == 1


def test_a_torn_line_is_cut_and_nothing_before_it_is_written_again(final, record, uri):
    with record() as recorder:
        train(recorder, (1,))
    whole = final.journal.read_bytes()
    final.journal.write_bytes(whole + b'{"event":"final_ep')
    with record() as recorder:
        train(recorder, (1, 2))
        recorder.end("completed")
    assert final.journal.read_bytes().startswith(whole)
    kinds = [type(event) for event in read_journal(final.path)]
    assert kinds == [FinalStarted, AttemptStarted, FinalEpoch, AttemptStarted, FinalEpoch, FinalEnded]


def test_a_complete_training_that_is_called_again_records_nothing(final, record, uri):
    def call():
        with record() as recorder:
            train(recorder, ())
            judge(recorder)
            recorder.end("completed")

    call()
    before = final.journal.read_bytes()
    call()
    assert final.journal.read_bytes() == before
    assert sum(isinstance(event, FinalTested) for event in read_journal(final.path)) == 1


def test_a_store_that_lost_the_run_gets_it_again(final, record, uri, tmp_path):
    with record() as recorder:
        train(recorder, (1, 2))
        recorder.end("completed")
    deliver(final, uri)
    (tmp_path / "home" / "mlflow.db").rename(tmp_path / "old.db")
    client, run = (deliver(final, uri), read(uri))[1]
    assert len(client.get_metric_history(run.info.run_id, "train_loss")) == 2


def test_two_processes_do_not_train_in_one_folder(final, record):
    with record(), pytest.raises(UserError, match="running already, in process"):
        record()
