"""All that a sweep observed, as one table: a row for each trial and epoch.

Tables of several sweeps can be joined (`pyarrow.concat_tables`, or in pandas): `sweep_id` and `trial` name a trial in
all of them. Columns, in this order:

    sweep, sweep_id string   the sweep's name, and what tells it from others of that name
    trial, epoch    int32    a trial without any epoch has one row, with epoch 0 and null metrics
    status          string   of the trial: completed, stopped, failed or diverged; running before its end
    reason          string   why it ended so: an error with its traceback, for example; null where none was given
    stopped_by      string   of a stopped one: rungs (early stopping), user, rule or target; null for others
    last_epoch      int32    of the trial; 0 where it reported none
    origin          string   `point 1`, `warm start: paper`, or the sampler's name
    audit           bool     whether early stopping never ends it
    time_s          float64  when the row was recorded, in seconds since 1970
    params.<key>             one for each parameter that any trial varied: its value, null where inactive
    config.<key>             as trained, varied or fixed, of the task's `columns`; null: no effect
    correct                  in the last row of a trial: which validation examples were right after that epoch, as
                             {examples: int32, seeds: list<string>}, read by `ubn_sweep.records.correctness`; null
                             where its task does not tell, and absent where none does
    metrics.<name>  float64  null where not reported; NaN is kept

A params or config column is bool, int64, float64 (also where whole and real numbers meet) or string.
In a string column a value that is itself null, such as `scaling: null`, is the text `none`, and so kept apart
from "inactive"; the task's `text_keys` are strings even where they are `none` throughout.
Other columns without any value are float64. Keys are dotted, as in the trial config.
Rows are sorted by trial, then epoch.

The schema's metadata tells the sweep: read it with `origin_of(table)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ubn_sweep.dotted import flatten, is_below
from ubn_sweep.errors import UserError
from ubn_sweep.files import written_beside
from ubn_sweep.masking import masked_values
from ubn_sweep.records.epoch_rows import EpochRows
from ubn_sweep.records.events import EpochReported, Event, SweepStarted, TrialRetried
from ubn_sweep.records.journal import lines_from
from ubn_sweep.records.task import TaskRecord
from ubn_sweep.records.trials import TrialRecord, Trials
from ubn_sweep.texts import as_recorded

CONFIG_KEYS = ("norm", "optimizer", "model", "training", "dataset.name", "seed", "repeats")
TEXT_KEYS = ("norm.name", "norm.scaling", "norm.affine")
"""What journals of version 0.1, which do not record their task, show of a trial's config, and which of it is words."""
METADATA_KEY = b"ubn_sweep"
CORRECT = pa.struct([("examples", pa.int32()), ("seeds", pa.list_(pa.string()))])
INACTIVE = object()


@dataclass(frozen=True, kw_only=True)
class SweepOrigin:
    """Where a table of observations came from."""

    sweep: str
    sweep_id: str
    spec: dict[str, Any]
    objective: str
    """Name of the metric, without `metrics.`."""
    mode: str
    """max or min."""
    task: dict[str, Any] = field(default_factory=dict)
    """A TaskRecord, as plain mappings; empty in tables of version 0.1."""
    ended_by: str = ""
    """The stop rule that ended the sweep, in a line; empty where none did."""
    joined: list[dict[str, Any]] = field(default_factory=list)
    """Of a table of several sweeps: of each its `sweep`, `sweep_id`, `first_number`, by which reports count its trials,
    and `settings`, what it held fixed at other values than the others."""


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Which keys of the trial config have a column, and which of their values are words."""

    shown: tuple[str, ...]
    text_keys: tuple[str, ...]

    def show(self, key: str) -> bool:
        return is_below(key, *self.shown)


def observations(events: Iterable[Event]) -> pa.Table:
    """The table of a sweep's events, of any part of them from its start on.

    Raises:
        UserError: the events do not begin with the sweep's record.
    """
    rows, gathered = EpochRows(), Trials()
    for event in events:
        if isinstance(event, EpochReported):
            rows.add(event)
        else:
            _take(event, rows, gathered)
    return _table(rows, gathered)


def observations_of(folder: Path) -> pa.Table:
    """The same of the journal in a folder, without an object for each of its epochs.

    Raises:
        UserError: there is no journal, a line in its midst is not readable, or the sweep's record is missing.
    """
    rows, gathered = EpochRows(), Trials()
    for line, behind in lines_from(folder, 0):
        event = rows.add_line(line, behind, folder)
        if event is not None:
            _take(event, rows, gathered)
    return _table(rows, gathered)


def write_observations(events: Iterable[Event], path: Path) -> pa.Table:
    """Writes the table as Parquet, beside its place and renamed, so that a reader finds a whole file."""
    return write_table(observations(events), path)


def write_table(table: pa.Table, path: Path) -> pa.Table:
    """The same with a table that is there, which is returned."""
    with written_beside(path) as beside:
        pq.write_table(table, beside, compression="zstd")
    return table


def origin_of(table: pa.Table) -> SweepOrigin:
    """The sweep that a table tells of.

    Raises:
        UserError: the table was not written by this module.
    """
    content = (table.schema.metadata or {}).get(METADATA_KEY)
    if content is None:
        raise UserError("the table does not tell its sweep: write it again with `ubn-sweep landscape SWEEP`")
    return SweepOrigin(**json.loads(content))


def _of_task(started: SweepStarted) -> _Columns:
    if not started.task:
        return _Columns(shown=CONFIG_KEYS, text_keys=TEXT_KEYS)
    task = TaskRecord.from_plain(started.task)
    return _Columns(shown=task.columns, text_keys=task.text_keys)


def _take(event: Event, rows: EpochRows, gathered: Trials) -> None:
    if isinstance(event, TrialRetried) and event.epoch is not None:
        rows.void(event.trial, event.epoch)
    gathered.apply(event)


def _table(rows: EpochRows, gathered: Trials) -> pa.Table:
    started, trials = gathered.started, list(gathered)
    of_task = _of_task(started)
    found = rows.table({trial.number: _last_s(trial) for trial in trials})
    of_trial = _places(found, trials)
    lasts = _lasts(found, of_trial, len(trials))
    epochs = found["epoch"].combine_chunks()
    columns: dict[str, Any] = {
        "sweep": pa.array([started.name] * len(trials), pa.string()).take(of_trial),
        "sweep_id": pa.array([started.sweep_id] * len(trials), pa.string()).take(of_trial),
        "trial": found["trial"],
        "epoch": epochs,
        **{name: column.take(of_trial) for name, column in _fixed_columns(trials, lasts).items()},
        "time_s": found["time_s"],
        **{name: column.take(of_trial) for name, column in _parameter_columns(trials, of_task).items()},
        **_correctness_column(trials, of_trial, pc.equal(epochs, lasts.take(of_trial))),
        **{name: found[name] for name in found.column_names if name.startswith("metrics.")},
    }
    objective = started.spec["objective"]
    origin = {
        "sweep": started.name,
        "sweep_id": started.sweep_id,
        "spec": masked_values(gathered.spec),
        "objective": objective["metric"],
        "mode": objective["mode"],
        "task": started.task,
        "ended_by": gathered.ended.reason if gathered.ended is not None else "",
    }
    return pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(origin).encode()})


def _last_s(trial: TrialRecord) -> float:
    """When it was last heard of, but for its epochs. Raises UserError where the events do not tell how it began."""
    return trial.created.time_s if trial.ended is None else trial.ended.time_s


def _places(found: pa.Table, trials: list[TrialRecord]) -> pa.Array:
    """Of each row, its trial's place in the list. Raises UserError for one that the events do not tell of otherwise."""
    numbers = np.array([trial.number for trial in trials], np.int64)
    of_rows = found["trial"].to_numpy()
    for stranger in np.setdiff1d(of_rows, numbers):
        TrialRecord(number=int(stranger)).created  # noqa: B018 - raises, with its words
    return pa.array(np.searchsorted(numbers, of_rows))


def _lasts(found: pa.Table, of_trial: pa.Array, count: int) -> pa.Array:
    """Of each trial, its last epoch; 0 where it reported none."""
    lasts = np.zeros(count, np.int32)
    np.maximum.at(lasts, of_trial.to_numpy(), found["epoch"].to_numpy())
    return pa.array(lasts)


def _fixed_columns(trials: list[TrialRecord], lasts: pa.Array) -> dict[str, pa.Array]:
    """One value a trial, as all columns of parameters have."""
    return {
        "status": pa.array([trial.status for trial in trials], pa.string()),
        "reason": pa.array([_reason(trial) for trial in trials], pa.string()),
        "stopped_by": pa.array([_stopped_by(trial) for trial in trials], pa.string()),
        "last_epoch": lasts,
        "origin": pa.array([trial.created.origin for trial in trials], pa.string()),
        "audit": pa.array([trial.created.audit for trial in trials], pa.bool_()),
    }


def _reason(trial: TrialRecord) -> str | None:
    return trial.ended.reason if trial.ended is not None and trial.ended.reason else None


def _stopped_by(trial: TrialRecord) -> str | None:
    return trial.ended.stopped_by if trial.ended is not None and trial.status == "stopped" else None


def _parameter_columns(trials: list[TrialRecord], of_task: _Columns) -> dict[str, pa.Array]:
    """One value a trial, by the column's name."""
    sampled = [trial.created.params for trial in trials]
    configs = [flatten(trial.created.config) for trial in trials]
    words = of_task.text_keys
    columns = {f"params.{key}": _column(sampled, key, words) for key in _keys(sampled)}
    for key in _keys(configs):
        if of_task.show(key):
            columns[f"config.{key}"] = _column(configs, key, words)
    return columns


def _correctness_column(
    trials: list[TrialRecord], of_trial: pa.Array, is_last: pa.Array
) -> dict[str, pa.Array]:
    """In the last rows alone."""
    found = [None if trial.ended is None else trial.ended.correct or None for trial in trials]
    if not any(found):
        return {}
    return {"correct": pa.array(found, CORRECT).take(pc.if_else(is_last, of_trial, None))}


def _keys(contents: Iterable[Mapping[str, Any]]) -> list[str]:
    """All keys, in the order in which they first appear."""
    return list(dict.fromkeys(key for content in contents for key in content))


def _column(contents: list[dict[str, Any]], key: str, text_keys: tuple[str, ...]) -> pa.Array:
    values = [content.get(key, INACTIVE) for content in contents]
    kind = pa.string() if key in text_keys else _kind(values)
    if kind != pa.string():
        return pa.array([None if value is INACTIVE else value for value in values], kind)
    return pa.array([None if value is INACTIVE else as_recorded(value) for value in values], kind)


def _kind(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not INACTIVE and value is not None}
    if not kinds <= {bool, int, float}:
        return pa.string()
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.string() if bool in kinds else pa.float64()
