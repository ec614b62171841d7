"""From a config's YAML file to its task and its checked config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.overrides import apply_overrides
from ubn_sweep.source import file_source
from ubn_sweep.training.finding import DEFAULT_TASK, find_task, lies_in
from ubn_sweep.training.provenance import upgraded
from ubn_sweep.training.task import Task

HARMLESS = ("dataset.root=", "dataset.download=", "device=")
"""Where the data lies, and on what it trains, does not change what was promised."""


def load_config(path: Path, assignments: Sequence[str] = (), *, task: str | None = None) -> tuple[Task, Any]:
    """Reads a trial config and checks it against the schema of its task.

    The task is the one named, else the one that the config's provenance names, else image classification. A key that
    is set takes the promise away, which was made for another config; the provenance says what was changed.

    Raises:
        UserError: one line with the place, the rule, the value and the remedy.
    """
    content, text = schema.load_yaml(path)
    if isinstance(content, dict):
        content = apply_overrides(content, assignments)
        content = _with_provenance(content, [item for item in assignments if not item.startswith(HARMLESS)])
    found = _task_of(content, task, path.absolute().parent)
    return found, schema.parse(found.Config, content, source=file_source(str(path), text))


def _with_provenance(content: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    provenance = content.get("provenance")
    if not isinstance(provenance, dict):
        return content
    provenance = upgraded(provenance, task=DEFAULT_TASK)
    if changes:
        changed = [*(provenance.get("changed") or []), *changes]
        provenance |= {"promised": None, "spread": None, "also": {}, "changed": changed}
    return {**content, "provenance": provenance}


def _task_of(content: Any, task: str | None, folder: Path) -> Task:
    provenance = content.get("provenance") if isinstance(content, dict) else None
    named = provenance if isinstance(provenance, dict) else {}
    name = task if task is not None else named.get("task", DEFAULT_TASK)
    if not isinstance(name, str):
        raise UserError(f"provenance.task: is written `module:Class`, but got {name!r}: name both")
    place = folder if lies_in(name, folder) else named.get("task_folder")
    return find_task(name, place)
