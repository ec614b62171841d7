"""Where an exported config came from, and what the sweep promised of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ubn_sweep.schema import OMIT_EMPTY


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What one more training under the sweep's protocol comes to, on examples that nobody has looked at."""

    low: float
    """What it lies between in nine cases of ten, judged on as many examples as the validation has."""
    high: float
    mean_error: float
    """Standard error of what is promised, in the examples that it was measured on and in the seeds."""
    std: float
    """Standard deviation of one training over seeds, what chance in its examples adds taken off."""
    freedom: float
    """Degrees of freedom that both are known with."""
    source: str
    """Where the deviation comes from: `seeds`, `race NAME`."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The trial that a config was exported from."""

    task: str
    """`module:Class` of the task that was swept, and that trains the config for good."""
    task_folder: str | None = None
    """Where its module lies, if not in the current folder or installed."""
    sweep: str
    sweep_id: str
    trial: int
    status: str
    epoch: int
    """The epoch that the promise was measured at."""
    metric: str
    """What is promised: `val_top1` for example."""
    promised: float | None
    """Its value at that epoch, a mean over the seeds. Null where the trial was not trained to the full budget, and once
    a key was changed: the promise was made for another config."""
    also: dict[str, float] = field(default_factory=dict, metadata={OMIT_EMPTY: True})
    """What it was chosen by besides, at that epoch: metric -> value; empty where the promised metric was all."""
    spread: float | None = None
    """Standard deviation over the seeds; null for a single one."""
    seeds: int = 1
    """How many the config was trained with."""
    workers: int = 1
    """Processes that trained it together, each on batches of `training.batch_size`: the final training has as many."""
    validation_examples: int | None = None
    candidates: int | None = None
    """How many configs with a finished trial it was chosen from."""
    optimism: float | None = None
    """By how much the best of them looks too good on average, since it was picked; null where that is not known."""
    forecast: Forecast | None = field(default=None, metadata={OMIT_EMPTY: True})
    """null where nothing says how trainings spread over seeds."""
    confirmed_by: str | None = field(default=None, metadata={OMIT_EMPTY: True})
    """The race whose held-out rounds the promise comes from; null where the sweep's own trials made it."""
    changed: tuple[str, ...] = ()
    """What `--set` changed since, as KEY=VALUE."""
    run_id: str | None = None
    tracking_uri: str | None = None
    git_revision: str | None = None


def upgraded(provenance: Mapping[str, Any], *, task: str) -> dict[str, Any]:
    """The provenance that version 0.1 wrote, in today's words; today's as it is. `task` is what 0.1 trained."""
    content = {key: value for key, value in provenance.items() if key != "exported_at"}
    if "promised_val_top1" not in content:
        return content
    renamed = {"promised_val_top1": "promised", "val_top1_spread": "spread"}
    content = {renamed.get(key, key): value for key, value in content.items()}
    return {"task": task, "metric": "val_top1", **content}
