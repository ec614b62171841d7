"""`objective` of a spec: one metric, or a list of two, to the one form that everything else reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.source import Source
from ubn_sweep.sweep.spec.spec import ObjectiveConfig, SweepSpec
from ubn_sweep.training.task import Task

EXAMPLE = "[{metric: val_top1}, {metric: parameters}]"


def as_one_mapping(content: dict[str, Any], source: Source) -> dict[str, Any]:
    """A spec's content whose `objective`, where it is a list, is a mapping with `second`; names alone will do in it.

    The constraints of both hold.

    Raises:
        UserError: the list is not one of one or two metrics.
    """
    given = content.get("objective")
    if isinstance(given, str):
        return {**content, "objective": {"metric": given}}
    if not isinstance(given, list):
        return content
    where = source.at(("objective",))
    items: list[Any] = [{"metric": item} if isinstance(item, str) else item for item in given]
    if not 1 <= len(items) <= 2 or not all(isinstance(item, Mapping) for item in items):
        raise UserError(f"{where}: is one metric or a list of two, but got {given!r}: write {EXAMPLE}")
    first, *others = items
    if not others:
        return {**content, "objective": dict(first)}
    second = {key: value for key, value in others[0].items() if key != "constraints"}
    bounds = {**(first.get("constraints") or {}), **(others[0].get("constraints") or {})}
    return {**content, "objective": {**first, "constraints": bounds, "second": second}}


def checked_objective(objective: ObjectiveConfig, task: Task, source: Source) -> ObjectiveConfig:
    """With names and directions filled in from the task's metrics.

    Raises:
        UserError: it names none of the task's, another direction than a metric has, or one metric twice.
    """
    name, mode = _checked(objective.metric or task.promise.name, objective.mode, task, source, ("objective",))
    objective = replace(objective, metric=name, mode=mode)
    if objective.second is None:
        return objective
    place = ("objective", "second")
    second, mode = _checked(objective.second.metric, objective.second.mode, task, source, place)
    if second == name:
        raise UserError(
            f"{source.at(place)}: both objectives are `{name}`: name another metric, or one alone"
        )
    return replace(objective, second=replace(objective.second, metric=second, mode=mode))


def check_two(spec: SweepSpec, source: Source) -> None:
    """What cannot be had with two objectives.

    Raises:
        UserError: the spec asks for it.
    """
    if spec.objective.second is None:
        return
    for key in ("target", "trial_target"):
        if getattr(spec.stop_when, key) is not None:
            raise UserError(
                f"{source.at(('stop_when', key))}: a target is of one objective, and the sweep has two: leave it out, "
                "or make the second one a constraint"
            )
    if spec.search.goal == "map":
        raise UserError(
            f"{source.at(('search', 'goal'))}: a map is of one objective, and the sweep has two: take `goal: best`, "
            "or make the second one a constraint"
        )


def _checked(
    name: str, mode: str | None, task: Task, source: Source, place: tuple[str, ...]
) -> tuple[str, Literal["max", "min"]]:
    known = [metric.name for metric in task.judged_by]
    if name not in known:
        where = source.at((*place, "metric"))
        near = schema.did_you_mean(name, known)
        raise UserError(f"{where}: unknown metric `{name}`{near}; those of {task.name}: {', '.join(known)}")
    natural = task.metric(name).direction
    if mode not in (None, natural):
        where = source.at((*place, "mode"))
        raise UserError(f"{where}: `{name}` has mode {natural}, but got {mode}: leave `mode` out")
    return name, natural
