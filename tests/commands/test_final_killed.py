"""Final trainings that are killed for real, or have no store: what the same command, or `sync`, makes of them."""

import json
import random
import time
from collections import Counter

import pytest

from tests.support.processes import call_cli, kill_all, run_cli, start_cli, wait_until
from tests.tracking.servers import free_port
from ubn_sweep.cli import main
from ubn_sweep.records.events import AttemptStarted, FinalEnded, FinalEpoch, FinalTested
from ubn_sweep.records.folder import FinalFolder, SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.tracking.mlflow.client import connect

EPOCHS = 10
CONFIG = f"""
dataset: {{name: digits, validation_fraction: 0.5}}
model: {{name: resnet8, width: 8}}
norm: {{name: ubn, gate: true, threshold: 0.15}}
training: {{epochs: {EPOCHS}, batch_size: 64}}
"""
TRAIN = ["train", "best.yaml", "--json"]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "best.yaml").write_text(CONFIG)
    return tmp_path


def events_in(place):
    folder = FinalFolder(folder=place / "runs" / "best")
    return read_journal(folder.path) if folder.journal.exists() else []


def count(place, kind):
    return sum(isinstance(event, kind) for event in events_in(place))


def finals(uri):
    client = connect(uri)
    experiment = client.get_experiment_by_name("ubn-sweep")
    return client, client.search_runs([experiment.experiment_id], "tags.`ubn_sweep.kind` = 'final'")


def check_whole(place, uri):
    """One run, every epoch once in the journal and in the store, the result once, the files beside it."""
    events = events_in(place)
    epochs = Counter(event.epoch for event in events if isinstance(event, FinalEpoch))
    assert epochs == dict.fromkeys(range(1, EPOCHS + 1), 1)
    assert count(place, FinalTested) == 1
    assert [event.status for event in events if isinstance(event, FinalEnded)][-1] == "completed"
    client, (run,) = finals(uri)
    recorded = {event.epoch: event for event in events if isinstance(event, FinalEpoch)}
    points = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(point.step, point.value) for point in points] == [
        (epoch, recorded[epoch].metrics["train_loss"]) for epoch in range(1, EPOCHS + 1)
    ]
    assert len(client.get_metric_history(run.info.run_id, "test_top1")) == 1
    assert run.info.status == "FINISHED"
    found = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert found == {"checkpoint", "config.yaml", "result.json"}
    return run


@pytest.mark.slow
@pytest.mark.parametrize("kills", [5])
def test_killed_at_random_moments_it_is_one_run_with_every_epoch_once(place, kills):
    """Kills fall on the start-up, the training, and the end with its test and its delivery."""
    rng = random.Random(7)
    moments = (0, rng.randrange(2, 6), EPOCHS, 1, rng.randrange(6, EPOCHS))
    for epochs in sorted(moments[:kills]):
        before = events_in(place)
        process = start_cli(TRAIN, cwd=place)
        if epochs == 0:
            time.sleep(rng.uniform(0.5, 3.0))
        else:
            wait_until(lambda e=epochs: count(place, FinalEpoch) >= e, timeout_s=120, poll_s=0.01)
            time.sleep(rng.uniform(0.0, 0.3))
        kill_all(process)
        assert events_in(place)[: len(before)] == before
    done = run_cli(TRAIN, cwd=place)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    run = check_whole(place, SweepFolder(home=place / "sweeps", name="").default_tracking_uri)
    assert result["run_id"] == run.info.run_id, done.stderr
    assert result["test"] == run.data.metrics["test_top1"]
    assert count(place, AttemptStarted) >= (kills + 1) // 2  # some fall on the start-up, or on the very end


@pytest.mark.slow
def test_too_little_memory_is_told_in_a_line_with_the_batch_size(place, monkeypatch, capsys):
    """A network of 10**13 channels, as no machine has room for it."""
    model = "{name: 'tests.support.own_models:plain', options: {depth: 1, channels: 10000000000000}}"
    monkeypatch.chdir(place)
    monkeypatch.setattr("sys.argv", ["ubn-sweep", "train", "best.yaml", "--set", f"model={model}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("error: out of memory with training.batch_size 64: ")
    assert told.endswith(": lower it, or training.eval_batch_size, and take another --out")
    assert [event.status for event in events_in(place) if isinstance(event, FinalEnded)] == ["failed"]


@pytest.mark.slow
def test_a_dead_server_costs_nothing_and_sync_delivers(place):
    away = f"http://127.0.0.1:{free_port()}"
    done = run_cli([*TRAIN, "--tracking-uri", away], cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["run_id"] is None
    assert f"ubn-sweep sync {place / 'runs' / 'best'}" in done.stderr
    down = call_cli(["sync", "runs/best"], cwd=place)
    assert down.returncode == 2
    assert "could not be written" in down.stderr
    elsewhere = f"sqlite:///{place / 'elsewhere.db'}"
    synced = call_cli(["sync", "runs/best", "--to", elsewhere, "--json"], cwd=place)
    assert synced.returncode == 0, synced.stderr
    assert sum(json.loads(synced.stdout.splitlines()[-1])["delivered"].values()) == len(events_in(place))
    check_whole(place, elsewhere)
