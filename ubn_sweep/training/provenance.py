"""Where an exported config came from, and what the sweep promised of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
    """Its value at that epoch; null once a key was changed: the promise was made for another config."""
    spread: float | None = None
    """Standard deviation over the repeats; null for a single one."""
    validation_examples: int | None = None
    candidates: int | None = None
    """How many finished trials it was chosen from: the best of many looks better than it is."""
    changed: tuple[str, ...] = ()
    """What `--set` changed since, as KEY=VALUE."""
    run_id: str | None = None
    tracking_uri: str | None = None
    git_revision: str | None = None
    exported_at: str | None = None


def upgraded(provenance: Mapping[str, Any], *, task: str) -> dict[str, Any]:
    """The provenance that version 0.1 wrote, in today's words; today's as it is. `task` is what 0.1 trained."""
    if "promised_val_top1" not in provenance:
        return dict(provenance)
    renamed = {"promised_val_top1": "promised", "val_top1_spread": "spread"}
    content = {renamed.get(key, key): value for key, value in provenance.items()}
    return {"task": task, "metric": "val_top1", **content}
