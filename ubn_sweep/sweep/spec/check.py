"""Whether a space makes sense, before anything starts: keys, conditions, values, and points."""

from __future__ import annotations

from typing import Any

from ubn_sweep import schema
from ubn_sweep.dotted import leaf_keys, value_at
from ubn_sweep.errors import UserError
from ubn_sweep.source import Source
from ubn_sweep.sweep.spec.check_points import check_points, values_to_try
from ubn_sweep.sweep.spec.parameters import IntParameter, Scalar, possible_values, same
from ubn_sweep.sweep.spec.space import Params, Space, as_list, decision_order
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.texts import as_yaml
from ubn_sweep.training.task import Task

Allowed = dict[str, list[Scalar]]
CHOOSE_NOTHING = ("grid", "qmc", "random")
"""Samplers that look at no score."""


def check_space(spec: SweepSpec, source: Source) -> None:
    """Checks what the schema alone cannot see.

    Raises:
        UserError: a key is unknown or may not vary, a condition can never hold or goes round in a circle, a
            parameter has no effect for some value of another, or a value or a combination of values is not allowed
            by the trial's schema.
    """
    task, base = spec.find_task(), schema.to_plain(spec.base)
    _check_judging(task, spec, source)
    for key in spec.space:
        where = source.at(("space", key))
        _check_key(key, task, base, where)
        _check_conditions(key, spec, base, source)
    try:
        decision_order(spec)
    except UserError as error:
        raise UserError(f"{source.at(('space',))}: {error}") from error
    space = Space(spec)
    for key in spec.space:
        where = source.at(("space", key))
        _check_effect(key, task, spec, base, where)
        for value in values_to_try(spec.space[key]):
            _check_value(space, spec, base, key, value, where)
    check_points(space, spec, source)


def _check_judging(task: Task, spec: SweepSpec, source: Source) -> None:
    if not task.judges_on_test(spec.base):
        return
    rule = "nothing may choose between trials that are judged on the test set"
    if spec.early_stopping is not None:
        raise UserError(
            f"{source.at(('early_stopping',))}: {rule}, but early stopping does: set it to null, or hold images out"
        )
    if spec.search.sampler not in CHOOSE_NOTHING:
        raise UserError(
            f"{source.at(('search', 'sampler'))}: {rule}, but the sampler `{spec.search.sampler}` does: take "
            f"{', '.join(CHOOSE_NOTHING)}, or hold images out"
        )


def _check_key(key: str, task: Task, base: dict[str, Any], where: str) -> None:
    keys = leaf_keys(base)
    reason = task.why_fixed(key)
    if reason is not None:
        raise UserError(f"{where}: `{key}` cannot be varied: {reason}")
    if key not in keys:
        group = [name for name in keys if name.startswith(key.split(".")[0] + ".")]
        candidates = group or [name for name in keys if task.why_fixed(name) is None]
        near = schema.did_you_mean(key, keys)
        raise UserError(f"{where}: unknown key{near}; known here: {', '.join(candidates)}")


def _check_conditions(key: str, spec: SweepSpec, base: dict[str, Any], source: Source) -> None:
    for parent, allowed in spec.space[key].when.items():
        where = source.at(("space", key, "when", parent))
        if parent == key:
            raise UserError(f"{where}: a parameter cannot depend on itself: drop the condition")
        if parent in spec.space:
            values = possible_values(spec.space[parent])
            if values is None:
                raise UserError(
                    f"{where}: `{parent}` is a range, and conditions need single values: make it a choice"
                )
        elif parent in leaf_keys(base):
            values = [value_at(base, parent)]
        else:
            near = schema.did_you_mean(parent, [*spec.space, *leaf_keys(base)])
            raise UserError(
                f"{where}: the condition names an unknown key{near}: name one of the space or of base"
            )
        for item in as_list(allowed):
            if not any(same(item, value) for value in values):
                raise UserError(
                    f"{where}: the condition can never hold: `{parent}` is never {as_yaml(item)}; "
                    f"it can be {', '.join(map(as_yaml, values))}"
                )


def _check_effect(key: str, task: Task, spec: SweepSpec, base: dict[str, Any], where: str) -> None:
    needed = _needs(key, spec, base, where)
    for parent, useful in task.effects.get(key, {}).items():
        if parent not in spec.space and parent not in leaf_keys(base):
            continue  # this task has no such key
        values = needed.get(parent) or _values_of(parent, spec, base)
        idle = [value for value in values if not any(same(value, item) for item in useful)]
        if idle:
            shown = useful[0] if len(useful) == 1 else useful
            raise UserError(
                f"{where}: `{key}` has no effect where `{parent}` is {as_yaml(idle[0])}: "
                f"add `when: {{{parent}: {as_yaml(shown)}}}`"
                + ("" if parent in spec.space else f", or set base.{parent} to {as_yaml(shown)}")
            )


def _check_value(
    space: Space, spec: SweepSpec, base: dict[str, Any], key: str, value: Scalar, where: str
) -> None:
    needed = _needs(key, spec, base, where)
    params: Params = {}
    for name in space.keys:
        if not space.is_active(name, params):
            continue
        if name == key:
            params[name] = value
        else:
            usual = space.nearest(name, value_at(base, name))
            params[name] = usual if name not in needed or usual in needed[name] else needed[name][0]
    try:
        space.config(params)
    except UserError as error:
        message = str(error).removeprefix("the trial's config: ")
        inside = isinstance(spec.space[key], IntParameter) and value not in spec.space[key].extremes()
        remedy = "; set a `step`, or list the allowed values as `ordered`" if inside else ""
        raise UserError(f"{where}: {as_yaml(value)} is not allowed: {message}{remedy}") from error


def _needs(key: str, spec: SweepSpec, base: dict[str, Any], where: str) -> Allowed:
    """The values of other keys under which a parameter is active, its parents' own conditions included."""
    needed: Allowed = {}
    waiting, seen = [key], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in spec.space:
            continue
        seen.add(name)
        for parent, allowed in spec.space[name].when.items():
            before = needed.get(parent, _values_of(parent, spec, base))
            needed[parent] = [v for v in before if any(same(v, item) for item in as_list(allowed))]
            if not needed[parent]:
                raise UserError(
                    f"{where}: its conditions contradict each other on `{parent}`: no value of it satisfies all"
                )
            waiting.append(parent)
    return needed


def _values_of(key: str, spec: SweepSpec, base: dict[str, Any]) -> list[Scalar]:
    if key in spec.space:
        return possible_values(spec.space[key]) or []
    return [value_at(base, key)]
