"""A sweep's trials as the landscape looks at them: read from the table of observations, nothing else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.landscape.baselines import start_name
from ubn_sweep.landscape.measures import MEASURES
from ubn_sweep.records.constraints import Constraint, constraints_of, unmet
from ubn_sweep.records.correctness import Bits, unpacked
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.observations import SweepOrigin, origin_of
from ubn_sweep.records.task import TaskRecord
from ubn_sweep.training.finding import DEFAULT_TASK, find_task, spec_in_todays_words

Ints = npt.NDArray[np.int64]
CORRECT_COLUMN = "correct"
STATUSES = ("completed", "stopped", "diverged", "failed", "running")


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """One trial. Scores are the objective in its own unit, at the epoch named."""

    number: int
    status: str
    last_epoch: int
    origin: str
    params: dict[str, Any]
    """Sampled values of the parameters that are active in this trial."""
    config: dict[str, Any]
    """What was trained, as far as the table shows it: `norm.threshold`, ...; without the keys that have no effect."""
    curve: dict[int, float]
    """Epoch -> objective; finite values alone."""
    audit: bool = False
    """Drawn at random, and never stopped early."""
    reason: str = ""
    """Why it ended so, where that was told."""
    stopped_by: str = ""
    """Of a stopped one: `rungs`, `user`, `rule` or `target`."""
    repeat_std: float | None = None
    """Standard deviation of the last score over the repeats."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the last epoch; finite values alone."""
    metrics_at: dict[int, dict[str, float]] = field(default_factory=dict)
    """Epoch -> the gate's measures, means over the layers; finite values alone."""
    times_s: dict[int, float] = field(default_factory=dict)
    feasible: bool = True
    """Whether its last epoch met the sweep's constraints."""

    @property
    def score(self) -> float:
        """At the last epoch; NaN where there is none."""
        return self.curve.get(self.last_epoch, math.nan)

    @property
    def scored_epoch(self) -> int:
        """The last epoch with a score; ValueError where none has one."""
        return max(self.curve)

    @property
    def last_score(self) -> float:
        """At that epoch."""
        return self.curve[self.scored_epoch]

    @property
    def start(self) -> str:
        """`paper`, `bn`, ...; empty for what a sampler drew."""
        return start_name(self.origin, self.config)

    @property
    def label(self) -> str:
        """`trial 3`; `trial 0 (paper)`."""
        return f"trial {self.number} ({self.start})" if self.start else f"trial {self.number}"


@dataclass(frozen=True, kw_only=True)
class JoinedSweep:
    """One of several sweeps that are looked at together."""

    sweep: str
    sweep_id: str
    first_number: int
    """Its trial 0 goes by this number."""
    settings: dict[str, Any]
    """What it held fixed at other values than the others."""


@dataclass(frozen=True, kw_only=True)
class SweepView:
    """A sweep, ready to be looked at."""

    name: str
    sweep_id: str
    description: str
    task: TaskRecord
    metric: Metric
    """The objective; of two the first, which trials are ranked by."""
    max_epochs: int
    repeats: int
    space: dict[str, dict[str, Any]]
    validation_examples: int | None
    validation_counted: bool
    """Whether the trials recorded that number; else it is estimated from the config."""
    trials: tuple[TrialView, ...]
    constraints: tuple[str, ...] = ()
    """What the best must keep, in words: `epoch_s <= 2`."""
    ended_by: str = ""
    """The stop rule that ended the sweep, in a line; empty where none did."""
    second: Metric | None = None
    """The other objective, where there are two."""
    joined: tuple[JoinedSweep, ...] = ()
    """The sweeps, where they are several."""
    is_map: bool = False
    """Whether trials were asked for where the profile was uncertain, and not where they may be the best."""
    by: tuple[str, ...] = ()
    """Parameters for whose values the spec asks for profiles of their own: `search.map.by`."""

    @property
    def objectives(self) -> str:
        """`validation accuracy`; `validation accuracy and trained parameters`."""
        return self.metric.label if self.second is None else f"{self.metric.label} and {self.second.label}"

    @cached_property
    def finished(self) -> tuple[TrialView, ...]:
        """Trials that were completed at the full budget, with a score."""
        return tuple(
            trial
            for trial in self.trials
            if trial.status == "completed" and trial.last_epoch >= self.max_epochs and trial.curve
            and math.isfinite(trial.score)
        )  # fmt: skip

    @cached_property
    def candidates(self) -> tuple[TrialView, ...]:
        """The finished trials that met the constraints: one of them is the best."""
        return tuple(trial for trial in self.finished if trial.feasible)

    @cached_property
    def unfinished(self) -> tuple[TrialView, ...]:
        """All others that reported a score: stopped, diverged, failed or running."""
        finished = {trial.number for trial in self.finished}
        return tuple(trial for trial in self.trials if trial.number not in finished and trial.curve)

    def titles(self, keys: Iterable[str]) -> dict[str, str]:
        """Key -> how people call it, in the given order; keys whose titles are the same go by their whole names."""
        found = {key: self.task.title(key) for key in keys}
        often = Counter(found.values())
        return {key: title if often[title] == 1 else key for key, title in found.items()}


def read_sweep(table: pa.Table) -> SweepView:
    """The view of a table made by `ubn_sweep.records.observations`.

    Raises:
        UserError: it holds the trials of several sweeps, whose spaces and metrics it does not know.
    """
    origin = origin_of(table)
    _check_one_sweep(table, origin)
    base = origin.spec.get("base", {})
    task = _task(origin)
    metric, second = task.metric(origin.objective), origin.spec.get("objective", {}).get("second")
    counted = _counted_examples(table, metric)
    trials = _trials(_numbered(table, origin), metric, constraints_of(origin.spec))
    reached = max((trial.last_epoch for trial in trials), default=1)
    return SweepView(
        name=origin.sweep,
        sweep_id=origin.sweep_id,
        description=str(origin.spec.get("description") or ""),
        task=task,
        metric=metric,
        max_epochs=int(base.get("training", {}).get("epochs", max(reached, 1))),
        repeats=int(base.get("repeats", 1)),
        space={key: dict(item) for key, item in origin.spec.get("space", {}).items()},
        validation_examples=task.examples if counted is None else counted,
        validation_counted=counted is not None,
        trials=trials,
        constraints=tuple(item.text(name) for name, item in constraints_of(origin.spec).items()),
        ended_by=origin.ended_by,
        second=task.metric(second["metric"]) if second is not None else None,
        joined=tuple(JoinedSweep(**one) for one in origin.joined),
        is_map=origin.spec.get("search", {}).get("goal") == "map",
        by=tuple((origin.spec.get("search", {}).get("map") or {}).get("by", ())),
    )


def _numbered(table: pa.Table, origin: SweepOrigin) -> pa.Table:
    """Trials of several sweeps by numbers of their own; as they are where there is one sweep."""
    if not origin.joined:
        return table
    ids = pa.array([one["sweep_id"] for one in origin.joined], pa.string())
    firsts = pa.array([one["first_number"] for one in origin.joined], pa.int32())
    added = firsts.take(pc.index_in(table["sweep_id"], ids).combine_chunks())
    place = table.column_names.index("trial")
    return table.set_column(place, "trial", pc.add(table["trial"], pa.chunked_array([added])))


def _check_one_sweep(table: pa.Table, origin: SweepOrigin) -> None:
    if "sweep_id" not in table.column_names:  # of version 0.1
        return
    known = {origin.sweep_id, *(one["sweep_id"] for one in origin.joined)}
    others = set(pc.unique(table["sweep_id"]).to_pylist()) - known
    if others:
        raise UserError(
            f"a landscape is of one sweep, but the table holds {len(others) + 1}, of which it describes "
            f"`{origin.sweep}`: take the rows with `sweep_id` {origin.sweep_id}, or name the sweeps together: "
            "`ubn-sweep landscape A B`"
        )


def read_correctness(table: pa.Table) -> dict[int, Bits]:
    """Trial -> which validation examples it got right after its last epoch, where that is recorded."""
    if CORRECT_COLUMN not in table.column_names:
        return {}
    table = _numbered(table, origin_of(table)) if "sweep_id" in table.column_names else table
    rows = table.select(["trial", CORRECT_COLUMN]).filter(pc.is_valid(table[CORRECT_COLUMN]))
    unpacked_rows = ((row["trial"], unpacked(row[CORRECT_COLUMN])) for row in rows.to_pylist())
    return {trial: bits for trial, bits in unpacked_rows if bits is not None}


def _task(origin: SweepOrigin) -> TaskRecord:
    """As the sweep recorded it; a sweep of version 0.1 did not, so its task is asked."""
    if origin.task:
        return TaskRecord.from_plain(origin.task)
    spec = spec_in_todays_words(origin.spec)
    task = find_task(spec.get("task", DEFAULT_TASK), spec.get("task_folder"))
    base: Any = schema.parse(task.Config, spec.get("base", {}), source=f"the record of {origin.sweep}")
    return task.record(base)


def _counted_examples(table: pa.Table, metric: Metric) -> int | None:
    """What the epochs recorded beside a share; None for other metrics, and in a journal from before they did."""
    column = f"metrics.{metric.count}"
    if metric.count is None or column not in table.column_names:
        return None
    largest = pc.max(table[column]).as_py()
    return None if largest is None else round(largest)


def _trials(table: pa.Table, metric: Metric, constraints: Mapping[str, Constraint]) -> tuple[TrialView, ...]:
    """By their numbers. Columns are read whole, and rows of them one a trial: tables have millions of rows."""
    trial, epoch = (table[name].to_numpy() for name in ("trial", "epoch"))
    order = np.lexsort((epoch, trial))
    if not (np.diff(order) > 0).all():
        table, trial, epoch = table.take(pa.array(order)), trial[order], epoch[order]
    starts = np.unique(trial, return_index=True)[1]
    ends = np.append(starts, len(trial))[1:]
    lasts = table.take(pa.array(ends - 1)).to_pylist()
    curves = _by_epoch(table, f"metrics.{metric.name}", starts, ends, epoch)
    times_s = _by_epoch(table, "time_s", starts, ends, epoch)
    measures = {
        measure.name: _by_epoch(table, f"metrics.{measure.name}", starts, ends, epoch) for measure in MEASURES
    }
    return tuple(
        _trial(
            last,
            metric,
            constraints,
            curve=curves[place],
            times_s=times_s[place],
            metrics_at=_merged({name: found[place] for name, found in measures.items()}),
        )
        for place, last in enumerate(lasts)
    )


def _by_epoch(table: pa.Table, column: str, starts: Ints, ends: Ints, epoch: Ints) -> list[dict[int, float]]:
    """Of each trial, epoch -> the finite values of a column; nothing where the table has none of that name."""
    if column not in table.column_names:
        return [{} for _ in starts]
    values = table[column].to_numpy(zero_copy_only=False)  # null as NaN
    is_told = np.isfinite(values) & (epoch > 0)
    bounds = np.r_[0, np.cumsum(is_told)]
    epochs, told = epoch[is_told].tolist(), values[is_told].tolist()
    pairs = zip(bounds[starts].tolist(), bounds[ends].tolist(), strict=True)
    return [dict(zip(epochs[low:high], told[low:high], strict=True)) for low, high in pairs]


def _merged(of_measures: Mapping[str, dict[int, float]]) -> dict[int, dict[str, float]]:
    """Epoch -> measure -> value, of the epochs that have any."""
    found: dict[int, dict[str, float]] = {}
    for name, values in of_measures.items():
        for epoch, value in values.items():
            found.setdefault(epoch, {})[name] = value
    return found


def _trial(
    last: dict[str, Any], metric: Metric, constraints: Mapping[str, Constraint], **by_epoch: Any
) -> TrialView:
    """From its last row; what there is of each epoch is given."""
    std = last.get(f"metrics.{metric.spread}")
    return TrialView(
        number=last["trial"],
        status=last["status"],
        last_epoch=last["last_epoch"],
        origin=last["origin"],
        audit=bool(last.get("audit")),
        reason=last.get("reason") or "",
        stopped_by=(last.get("stopped_by") or "rungs") if last["status"] == "stopped" else "",
        params=_named(last, "params."),
        config=_named(last, "params.") | _named(last, "config."),
        repeat_std=std if _finite(std) else None,
        metrics={key: value for key, value in _named(last, "metrics.").items() if _finite(value)},
        feasible=not unmet(constraints, {name: last.get(f"metrics.{name}") for name in constraints}),
        **by_epoch,
    )


def _named(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key.removeprefix(prefix): value
        for key, value in row.items()
        if key.startswith(prefix) and value is not None
    }


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
