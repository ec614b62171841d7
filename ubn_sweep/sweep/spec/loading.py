"""From a YAML file, or a journal's first record, to a checked spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.overrides import apply_overrides
from ubn_sweep.sweep.spec.check import check_space
from ubn_sweep.sweep.spec.spec import ObjectiveConfig, SweepSpec
from ubn_sweep.training.task import Task
from ubn_sweep.training.tasks import find_task, lies_in, spec_in_todays_words


def load_spec(path: Path, assignments: Sequence[str] = ()) -> SweepSpec:
    """Reads and checks a spec; `assignments` are `key=value` pairs, whose keys may leave out `base.`.

    Raises:
        UserError: one line with the place in the file, the rule, the value and the remedy.
    """
    content, text = schema.load_yaml(path)
    if assignments and isinstance(content, dict):
        content = apply_overrides(content, [_full_key(item, content, path.parent) for item in assignments])
    spec = _parsed(content, source=str(path), text=text, folder=path.absolute().parent)
    check_space(spec, source=str(path), text=text)
    return spec


def spec_from_plain(content: dict[str, Any]) -> SweepSpec:
    """The spec of a recorded sweep."""
    return _parsed(content, source="the sweep's record", text=None, folder=None)


def _parsed(content: Any, *, source: str, text: str | None, folder: Path | None) -> SweepSpec:
    """The spec's own keys first, then `base` by the schema of the task that they name."""
    if isinstance(content, dict):
        content = spec_in_todays_words(content)
    spec = schema.parse(SweepSpec, content, source=source, text=text)
    if spec.task_folder is None and folder is not None and lies_in(spec.task, folder):
        spec = dataclasses.replace(spec, task_folder=str(folder))
    try:
        task = spec.find_task()
    except UserError as error:
        raise UserError(f"{schema.at(source, text, ())}: {error}") from error
    base: Any = schema.parse(task.Config, spec.base, source=source, text=text, place=("base",))
    objective = _objective(spec.objective, task, source, text)
    _check_grace(spec, base.training.epochs, source, text)
    return dataclasses.replace(spec, task=task.name, base=base, objective=objective)


def _objective(objective: ObjectiveConfig, task: Task, source: str, text: str | None) -> ObjectiveConfig:
    known = [metric.name for metric in task.metrics]
    name = objective.metric or known[0]
    if name not in known:
        where = schema.at(source, text, ("objective", "metric"))
        near = schema.did_you_mean(name, known)
        raise UserError(f"{where}: unknown metric `{name}`{near}; those of {task.name}: {', '.join(known)}")
    natural = task.metric(name).direction
    if objective.mode not in (None, natural):
        where = schema.at(source, text, ("objective", "mode"))
        raise UserError(f"{where}: `{name}` has mode {natural}, but got {objective.mode}: leave `mode` out")
    return ObjectiveConfig(metric=name, mode=natural)


def _check_grace(spec: SweepSpec, epochs: int, source: str, text: str | None) -> None:
    stopping = spec.early_stopping
    if stopping is not None and stopping.grace_epochs > epochs:
        raise UserError(
            f"{schema.at(source, text, ('early_stopping', 'grace_epochs'))}: `early_stopping.grace_epochs <= "
            f"base.training.epochs` must hold, but got {stopping.grace_epochs} > {epochs}: lower the one or raise "
            "the other"
        )


def _full_key(assignment: str, content: dict[str, Any], folder: Path) -> str:
    """Keys of the trial config may be written without `base.`."""
    first = assignment.split("=", 1)[0].split(".", 1)[0]
    if first in schema.field_names(SweepSpec) or first == "trainable":
        return assignment
    name = spec_in_todays_words(content).get("task", SweepSpec.task)
    task = find_task(name, folder if lies_in(name, folder) else None)
    return f"base.{assignment}" if first in schema.field_names(task.Config) else assignment
