import dataclasses
import json
import math

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support import journals
from tests.tracking.builders import SPEC, SWEEP_ID, created, started, sweep_events, trial_events
from ubn_sweep.errors import UserError
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.records.events import TrialEnded
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.observations import observations, origin_of, write_observations
from ubn_sweep.records.task import TaskRecord


def rows(table, **where):
    return [row for row in table.to_pylist() if all(row[key] == value for key, value in where.items())]


def test_a_row_for_each_epoch_and_none_lost():
    table = observations(sweep_events(8))
    assert [(row["trial"], row["epoch"]) for row in table.to_pylist()] == [
        *((0, epoch) for epoch in (1, 2, 3, 4)),
        *((1, epoch) for epoch in (1, 2)),
        (2, 0),
        (3, 1),
        *((4, epoch) for epoch in (1, 2, 3, 4)),
        *((5, epoch) for epoch in (1, 2)),
        (6, 0),
        (7, 1),
    ]
    assert {row["trial"]: row["status"] for row in table.to_pylist()} == {
        0: "completed", 1: "stopped", 2: "failed", 3: "diverged",
        4: "completed", 5: "stopped", 6: "failed", 7: "diverged",
    }  # fmt: skip
    assert rows(table, trial=1, epoch=1)[0]["last_epoch"] == 2
    assert rows(table, trial=0, epoch=1)[0]["origin"] == "warm start: paper"


def test_values_as_they_were_recorded():
    events = sweep_events(4)
    table = observations(events)
    for event in events:
        for name, value in getattr(event, "metrics", {}).items():
            found = rows(table, trial=event.trial, epoch=event.epoch)[0]
            assert found["time_s"] == event.time_s
            assert found[f"metrics.{name}"] == value or (
                math.isnan(value) and math.isnan(found[f"metrics.{name}"])
            )
    failed = rows(table, trial=2)[0]
    assert failed["metrics.val_top1"] is None
    assert failed["params.norm.threshold"] == pytest.approx(0.1)


def test_columns_have_one_type_each():
    schema = observations(sweep_events(8)).schema
    expected = {
        "trial": pa.int32(),
        "epoch": pa.int32(),
        "status": pa.string(),
        "last_epoch": pa.int32(),
        "origin": pa.string(),
        "time_s": pa.float64(),
        "params.norm.gate": pa.bool_(),
        "params.norm.scaling": pa.string(),
        "params.norm.threshold": pa.float64(),
        "params.training.batch_size": pa.int64(),
        "config.norm.name": pa.string(),
        "config.norm.gate": pa.bool_(),
        "config.norm.threshold": pa.float64(),
        "config.norm.scaling": pa.string(),
        "config.training.batch_size": pa.int64(),
        "metrics.val_top1": pa.float64(),
        "metrics.similarity/stem": pa.float64(),
    }
    assert {name: schema.field(name).type for name in expected} == expected


def test_what_all_trials_share_has_columns_too():
    """A table says by itself what was trained on what, and with which learning rate."""
    events = journals.sweep_events(1)
    (config,) = [event.config for event in events if hasattr(event, "config")]
    row = observations(events).to_pylist()[0]
    assert row["config.optimizer.lr"] == config["optimizer"]["lr"]
    assert row["config.model.name"] == config["model"]["name"]
    assert row["config.dataset.name"] == config["dataset"]["name"]
    assert row["config.seed"] == config["seed"]
    assert not [name for name in row if name.endswith("root")]  # a folder of this machine


def test_why_a_trial_ended_is_told():
    table = observations(sweep_events(4))
    reasons = {row["trial"]: row["reason"] for row in table.to_pylist()}
    told = {event.trial: event.reason or None for event in sweep_events(4) if isinstance(event, TrialEnded)}
    assert reasons == told
    assert any(reasons.values())
    assert {row["trial"]: row["stopped_by"] for row in table.to_pylist()} == {
        0: None,
        1: "rungs",
        2: None,
        3: None,
    }


def test_joined_tables_keep_their_sweeps():
    """Both have a trial 0; joined, no two rows are of the same sweep, trial and epoch."""
    first = sweep_events(4)
    second = [dataclasses.replace(started(), name="other", sweep_id="b" * 32), *first[1:]]
    both = pa.concat_tables([observations(first), observations(second)])
    keys = [(row["sweep_id"], row["trial"], row["epoch"]) for row in both.to_pylist()]
    assert len(set(keys)) == len(keys) == 2 * observations(first).num_rows
    assert set(both["sweep"].to_pylist()) == {"small", "other"}
    with pytest.raises(UserError, match=r"of one sweep, but the table holds 2.*`small`"):
        read_sweep(both)
    mine = both.filter(pc.equal(both["sweep_id"], SWEEP_ID))
    assert len(read_sweep(mine).trials) == 4


def test_inactive_is_null_and_no_scaling_is_none():
    table = observations(sweep_events(4))
    assert rows(table, trial=1)[0]["params.norm.threshold"] is None
    assert rows(table, trial=0)[0]["params.norm.scaling"] == "none"
    assert rows(table, trial=0)[0]["config.norm.scaling"] == "none"
    assert rows(table, trial=1)[0]["config.norm.scaling"] == "representative"


def test_mixed_values():
    def with_params(trial, **params):
        return dataclasses.replace(created(trial), params=params)

    table = observations(
        [
            started(),
            with_params(0, whole=1, mixed=1, flag=True, empty=None, boxed=[1, 2]),
            with_params(1, whole=2, mixed="a", flag=1, empty=None, boxed=None),
            with_params(2, whole=0.5, mixed=None, flag=False),
        ]
    )
    columns = {
        name: table[f"params.{name}"].to_pylist() for name in ("whole", "mixed", "flag", "empty", "boxed")
    }
    assert columns == {
        "whole": [1.0, 2.0, 0.5],
        "mixed": ["1", "a", "none"],
        "flag": ["true", "1", "false"],
        "empty": [None, None, None],
        "boxed": ["[1, 2]", "none", None],
    }
    assert table["status"].to_pylist() == ["running"] * 3


def test_a_sweep_without_trials_and_a_running_one():
    assert observations([started()]).num_rows == 0
    running = observations([started(), *trial_events(0)[:-1]])
    assert set(running["status"].to_pylist()) == {"running"}
    assert set(running["last_epoch"].to_pylist()) == {4}


def test_the_table_tells_its_sweep(tmp_path):
    path = tmp_path / "new" / "observations.parquet"
    table = write_observations(sweep_events(3), path)
    read = pq.read_table(path)
    assert read.equals(table)
    origin = origin_of(read)
    assert (origin.sweep, origin.sweep_id, origin.objective, origin.mode) == (
        "small",
        SWEEP_ID,
        "val_top1",
        "max",
    )
    assert origin.spec == SPEC
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_what_is_no_sweep_is_refused():
    with pytest.raises(UserError, match="does not begin"):
        observations([])
    with pytest.raises(UserError, match="does not tell its sweep"):
        origin_of(pa.table({"trial": [1]}))


def test_the_task_says_which_of_the_config_is_shown():
    task = TaskRecord(
        name="tests:Task",
        subject="something",
        metrics=(Metric(name="val_top1", label="accuracy", direction="max"),),
        columns=("optimizer", "norm.scaling"),
        text_keys=("optimizer.lr", "norm.scaling"),
    )
    first = dataclasses.replace(started(), task=json.loads(json.dumps(task.to_plain())))
    table = observations([first, *trial_events(0), *trial_events(3)])
    shown = {name: table[name].type for name in table.column_names if name.startswith("config.")}
    assert shown == {
        "config.norm.scaling": pa.string(),
        "config.optimizer.lr": pa.string(),
        "config.optimizer.step_epochs": pa.string(),
    }
    assert set(table["config.norm.scaling"].to_pylist()) == {"none"}
    assert TaskRecord.from_plain(origin_of(table).task) == task
