"""A sweep's trials as the landscape looks at them: read from the table of observations, nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import pyarrow as pa

from ubn_sweep.landscape.views.validation_size import counted_examples, estimated_examples
from ubn_sweep.records.observations import origin_of

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
    norm: dict[str, Any]
    """The layer as trained, `threshold`, `centering`, ...; without the keys that have no effect."""
    curve: dict[int, float]
    """Epoch -> objective; finite values alone."""
    repeat_std: float | None = None
    """Standard deviation of the last score over the repeats."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the last epoch; finite values alone."""
    metrics_at: dict[int, dict[str, float]] = field(default_factory=dict)
    """Epoch -> similarity and gate_open, the means over the layers; finite values alone."""
    times_s: dict[int, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """At the last epoch; NaN where there is none."""
        return self.curve.get(self.last_epoch, math.nan)

    @property
    def label(self) -> str:
        return f"trial {self.number}"


@dataclass(frozen=True, kw_only=True)
class SweepView:
    """A sweep, ready to be looked at."""

    name: str
    sweep_id: str
    description: str
    metric: str
    mode: str
    max_epochs: int
    repeats: int
    dataset: str
    model: str
    space: dict[str, dict[str, Any]]
    validation_examples: int | None
    validation_counted: bool
    """Whether the trials recorded that number; else it is estimated from the dataset's config."""
    trials: tuple[TrialView, ...]

    @property
    def finished(self) -> tuple[TrialView, ...]:
        """Trials that were completed at the full budget, with a score."""
        return tuple(
            trial
            for trial in self.trials
            if trial.status == "completed" and trial.last_epoch >= self.max_epochs and trial.curve
            and math.isfinite(trial.score)
        )  # fmt: skip

    @property
    def unfinished(self) -> tuple[TrialView, ...]:
        """All others that reported a score: stopped, diverged, failed or running."""
        finished = {trial.number for trial in self.finished}
        return tuple(trial for trial in self.trials if trial.number not in finished and trial.curve)

    @property
    def is_share(self) -> bool:
        """Whether the objective is a share of images, shown in percent."""
        return self.metric == "val_top1"

    def better(self, value: float) -> float:
        """The score turned so that higher is better."""
        return value if self.mode == "max" else -value


def read_sweep(table: pa.Table) -> SweepView:
    """The view of a table made by `ubn_sweep.records.observations`."""
    origin = origin_of(table)
    base = origin.spec.get("base", {})
    counted = counted_examples(table)
    rows_of: dict[int, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        rows_of.setdefault(row["trial"], []).append(row)
    trials = tuple(_trial(rows, origin.objective) for rows in rows_of.values())
    reached = max((trial.last_epoch for trial in trials), default=1)
    return SweepView(
        name=origin.sweep,
        sweep_id=origin.sweep_id,
        description=str(origin.spec.get("description") or ""),
        metric=origin.objective,
        mode=origin.mode,
        max_epochs=int(base.get("training", {}).get("epochs", max(reached, 1))),
        repeats=int(base.get("repeats", 1)),
        dataset=str(base.get("dataset", {}).get("name", "unknown data")),
        model=str(base.get("model", {}).get("name", "unknown model")),
        space={key: dict(item) for key, item in origin.spec.get("space", {}).items()},
        validation_examples=estimated_examples(base.get("dataset", {})) if counted is None else counted,
        validation_counted=counted is not None,
        trials=trials,
    )


def _trial(rows: list[dict[str, Any]], objective: str) -> TrialView:
    last = rows[-1]
    epochs = [row for row in rows if row["epoch"] > 0]
    scores: dict[int, Any] = {row["epoch"]: row.get(f"metrics.{objective}") for row in epochs}
    std = last.get("metrics.val_top1_std") if objective == "val_top1" else None
    return TrialView(
        number=last["trial"],
        status=last["status"],
        last_epoch=last["last_epoch"],
        origin=last["origin"],
        params=_named(last, "params."),
        norm=_named(last, "config.norm."),
        curve={epoch: score for epoch, score in scores.items() if _finite(score)},
        repeat_std=std if _finite(std) else None,
        metrics={key: value for key, value in _named(last, "metrics.").items() if _finite(value)},
        metrics_at={row["epoch"]: _gate_metrics(row) for row in epochs},
        times_s={row["epoch"]: row["time_s"] for row in epochs},
    )


def _gate_metrics(row: dict[str, Any]) -> dict[str, float]:
    found = {name: row.get(f"metrics.{name}") for name in ("similarity", "gate_open")}
    return {name: value for name, value in found.items() if _finite(value)}


def _named(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key.removeprefix(prefix): value
        for key, value in row.items()
        if key.startswith(prefix) and value is not None
    }


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
