"""`train --confirm`: the sweep's own experiment once more, and what it says of the promise."""

import json

import pytest

from ubn_sweep.commands.final_run import EpochLines
from ubn_sweep.commands.train import train_final
from ubn_sweep.errors import InterruptedSweepError, UserError
from ubn_sweep.export.confirmation import confirmation_seed
from ubn_sweep.records.events import FinalConfirmed, FinalEnded, FinalEpoch, FinalJudged, FinalTested
from ubn_sweep.records.folder import FinalFolder, SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.training.loading import load_config

CONFIG = """
dataset: {name: digits, validation_fraction: 0.5, train_examples: 200, test_examples: 100}
model: {name: resnet8, width: 4}
norm: {name: bn}
training: {epochs: 2, batch_size: 50}
device: cpu
"""
PROMISE = """
provenance: {task: "trainables.classification:Classification", sweep: s, sweep_id: i, trial: 0, status: completed,
  epoch: 2, metric: val_top1, promised: 0.5, validation_examples: 100, candidates: 4, optimism: 0.01}
"""


def train(place, capsys, *, to_confirm):
    train_final(
        place / "best.yaml", out=place / "run", to_confirm=to_confirm, tracking_uri=None, assignments=(),
        task_name=None, home=place / "sweeps", as_json=True,
    )  # fmt: skip
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def interrupt(monkeypatch):
    """Ctrl-C behind the first epoch that is told of."""

    def epoch(self, epoch, metrics):
        raise KeyboardInterrupt

    monkeypatch.setattr(EpochLines, "epoch", epoch)


def test_a_verdict_of_the_same_experiment_also_after_the_final_training(tmp_path, capsys, monkeypatch):
    """Asked for later, the final training is not trained again; interrupted, it goes on."""
    (tmp_path / "best.yaml").write_text(CONFIG + PROMISE)
    first = train(tmp_path, capsys, to_confirm=False)
    assert first["verdict"]["kept"] is None
    assert "two experiments" in first["verdict"]["sentence"]
    with monkeypatch.context() as patch:
        interrupt(patch)
        with pytest.raises(InterruptedSweepError):
            train(tmp_path, capsys, to_confirm=True)
    second = train(tmp_path, capsys, to_confirm=True)
    assert second["verdict"]["same_protocol"]
    assert second["verdict"]["test"] == second["confirmation"]["metrics"]["test_top1"]
    gain = second["test"] - second["verdict"]["test"]
    assert second["verdict"]["gain_from_data"] == pytest.approx(gain)
    assert train(tmp_path, capsys, to_confirm=True) == second
    looks = [told["test_looks"]["of_sweep"] for told in (first, second)]
    assert looks == [1, 2]

    _, config = load_config(tmp_path / "best.yaml")
    folder = FinalFolder(folder=tmp_path / "run")
    events = read_journal(folder.path)
    (confirmed,) = [event for event in events if isinstance(event, FinalConfirmed)]
    assert confirmed.seed == confirmation_seed(config) != config.seed
    assert {"val_top1", "test_top1"} <= set(confirmed.metrics)
    counts = [
        sum(isinstance(e, kind) for e in events)
        for kind in (FinalEpoch, FinalTested, FinalJudged, FinalEnded)
    ]
    assert counts == [2, 1, 2, 1]
    result = json.loads(folder.result.read_text())
    assert result["verdict"] == second["verdict"]
    assert result["confirmation"]["seed"] == confirmed.seed

    client = connect(SweepFolder(home=tmp_path / "sweeps", name="").default_tracking_uri)
    run = client.get_run(second["run_id"])
    assert run.data.tags["ubn_sweep.verdict"] == second["verdict"]["sentence"]
    assert run.data.metrics["test_looks"] == 1.0
    assert run.data.metrics["confirmation/test_top1"] == confirmed.metrics["test_top1"]
    if second["verdict"]["kept"]:
        assert run.data.metrics["promise_kept"] == 1.0


def test_without_a_promise_there_is_nothing_to_confirm(tmp_path, capsys):
    (tmp_path / "best.yaml").write_text(CONFIG)
    with pytest.raises(UserError, match="--confirm: the config promises nothing"):
        train(tmp_path, capsys, to_confirm=True)
    assert not (tmp_path / "run").exists()
