"""Journals that version 0.1 wrote are read, folded and tabled."""

from collections import Counter
from pathlib import Path

import pytest

from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.observations import observations, origin_of
from ubn_sweep.records.trials import Trials

DATA = Path(__file__).parents[1] / "data" / "version_0_1"
STATUSES = {
    "finished": {"completed": 2, "stopped": 8},
    "killed": {"completed": 2, "stopped": 3, "running": 3},
}


@pytest.fixture(params=STATUSES)
def name(request):
    return request.param


def test_the_fold(name):
    trials = Trials(read_journal(DATA / name))
    assert (trials.started.name, trials.started.task) == (name, {})
    assert Counter(trial.status for trial in trials) == STATUSES[name]
    assert (trials.ended is not None) == (name == "finished")
    for trial in trials:
        assert list(trial.epochs) == list(range(1, trial.last_epoch + 1))
        assert trial.created.config["seed"] >= 0


def test_the_table(name):
    events = read_journal(DATA / name)
    table, trials = observations(events), Trials(events)
    assert table.num_rows == sum(max(trial.last_epoch, 1) for trial in trials)
    assert {"config.norm.scaling", "config.training.batch_size", "metrics.val_top1"} <= set(
        table.column_names
    )
    assert {"config.optimizer.lr", "config.model.name", "config.dataset.name"} <= set(table.column_names)
    assert "none" in table["config.norm.scaling"].to_pylist()
    assert origin_of(table).task == {}
    assert len(read_sweep(table).trials) == len(trials)
