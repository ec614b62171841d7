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

import pyarrow as pa
import pyarrow.parquet as pq

from ubn_sweep.dotted import flatten, is_below
from ubn_sweep.errors import UserError
from ubn_sweep.files import written_beside
from ubn_sweep.masking import masked_values
from ubn_sweep.records.events import EpochReported, Event, SweepStarted
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
    gathered = Trials(events)
    started, trials = gathered.started, list(gathered)
    of_task = _of_task(started)
    rows = [(index, row) for index, trial in enumerate(trials) for row in _rows(trial)]
    columns = {
        "sweep": pa.array([started.name] * len(rows), pa.string()),
        "sweep_id": pa.array([started.sweep_id] * len(rows), pa.string()),
        **_fixed_columns(trials, rows),
    }
    of_trial = pa.array([index for index, _ in rows], pa.int64())
    for name, column in _parameter_columns(trials, of_task).items():
        columns[name] = column.take(of_trial)
    columns |= _correctness_column(trials, rows)
    columns |= _metric_columns([row for _, row in rows])
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


def write_observations(events: Iterable[Event], path: Path) -> pa.Table:
    """Writes the table as Parquet, beside its place and renamed, so that a reader finds a whole file."""
    table = observations(events)
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


def _rows(trial: TrialRecord) -> list[EpochReported]:
    if trial.epochs:
        return [trial.epochs[epoch] for epoch in sorted(trial.epochs)]
    last = trial.created if trial.ended is None else trial.ended
    return [EpochReported(time_s=last.time_s, trial=trial.number, epoch=0, metrics={})]


def _fixed_columns(trials: list[TrialRecord], rows: list[tuple[int, EpochReported]]) -> dict[str, pa.Array]:
    statuses = [trial.status for trial in trials]
    lasts = [trial.last_epoch for trial in trials]
    return {
        "trial": pa.array([row.trial for _, row in rows], pa.int32()),
        "epoch": pa.array([row.epoch for _, row in rows], pa.int32()),
        "status": pa.array([statuses[index] for index, _ in rows], pa.string()),
        "reason": pa.array([_reason(trials[index]) for index, _ in rows], pa.string()),
        "stopped_by": pa.array([_stopped_by(trials[index]) for index, _ in rows], pa.string()),
        "last_epoch": pa.array([lasts[index] for index, _ in rows], pa.int32()),
        "origin": pa.array([trials[index].created.origin for index, _ in rows], pa.string()),
        "audit": pa.array([trials[index].created.audit for index, _ in rows], pa.bool_()),
        "time_s": pa.array([row.time_s for _, row in rows], pa.float64()),
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
    trials: list[TrialRecord], rows: list[tuple[int, EpochReported]]
) -> dict[str, pa.Array]:
    found = [{} if trial.ended is None else trial.ended.correct for trial in trials]
    if not any(found):
        return {}
    lasts = [trial.last_epoch for trial in trials]
    values = [found[index] or None if row.epoch == lasts[index] else None for index, row in rows]
    return {"correct": pa.array(values, CORRECT)}


def _metric_columns(rows: list[EpochReported]) -> dict[str, pa.Array]:
    return {
        f"metrics.{name}": pa.array([row.metrics.get(name) for row in rows], pa.float64())
        for name in _keys([row.metrics for row in rows])
    }


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
