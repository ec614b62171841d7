"""Several sweeps as one table of observations, where that means something.

They must judge the same task on the same data by the same objective, over the same epochs and repeats. What they hold
fixed at different values, or one sweeps and another holds, is a parameter of the joined space: its values tell the
trials apart, and no model takes what it did for chance. Rows keep their sweep and trial.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ubn_sweep.dotted import flatten, is_below
from ubn_sweep.errors import UserError
from ubn_sweep.records.observations import METADATA_KEY, SweepOrigin, origin_of
from ubn_sweep.texts import as_recorded, as_shown

SAME = ("dataset", "training.epochs", "repeats")
"""Settings without which scores do not compare."""
NO_SETTING = ("seed", "dataset.root", "provenance")
LEAST_STEP = 100
Space = dict[str, dict[str, Any]]


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """One table; a single one as it is.

    Raises:
        UserError: they cannot be together, and why.
    """
    if len(tables) == 1:
        return tables[0]
    origins = [origin_of(table) for table in tables]
    if len({origin.sweep_id for origin in origins}) < len(origins):
        raise UserError("the same sweep is named twice: name each once")
    for other in origins[1:]:
        _check_together(origins[0], other)
    bases = [flatten(origin.spec.get("base", {})) for origin in origins]
    space = _joined_space(origins, bases)
    filled = [_filled(table, space, base) for table, base in zip(tables, bases, strict=True)]
    whole = pa.concat_tables(_alike(filled), promote_options="permissive")
    settings = [key for key in space if all(key not in origin.spec.get("space", {}) for origin in origins)]
    told = [{key: base[key] for key in settings} for base in bases]
    origin = _joined_origin(origins, space, told, _step(tables))
    return whole.replace_schema_metadata({METADATA_KEY: json.dumps(dataclasses.asdict(origin)).encode()})


def _check_together(first: SweepOrigin, other: SweepOrigin) -> None:
    def refuse(what: str, mine: Any, theirs: Any) -> None:
        if mine != theirs:
            raise UserError(
                f"`{first.sweep}` and `{other.sweep}` cannot be one landscape: {what} must be the same, but is "
                f"`{as_shown(mine)}` and `{as_shown(theirs)}`: map each by itself"
            )

    refuse("the task", *(origin.task.get("name", origin.spec.get("task")) for origin in (first, other)))
    refuse("the objective", *(_objective(origin) for origin in (first, other)))
    mine, theirs = (flatten(origin.spec.get("base", {})) for origin in (first, other))
    for key in dict.fromkeys([*mine, *theirs]):
        if is_below(key, *SAME) and key not in NO_SETTING:
            refuse(f"`{key}`", mine.get(key), theirs.get(key))


def _objective(origin: SweepOrigin) -> str:
    found = origin.spec.get("objective", {})
    told = {name: found.get(name) for name in ("metric", "mode", "second", "constraints")}
    return json.dumps({name: value for name, value in told.items() if value}, sort_keys=True)


def _joined_space(origins: Sequence[SweepOrigin], bases: Sequence[dict[str, Any]]) -> Space:
    """Ranges as wide as any; what differs between the bases as choices.

    Raises:
        UserError: two sweeps declare a parameter in different ways.
    """
    spaces: list[Space] = [origin.spec.get("space", {}) for origin in origins]
    found: Space = {}
    for origin, space in zip(origins, spaces, strict=True):
        for key, item in space.items():
            found[key] = item if key not in found else _united(key, found[key], item, origin.sweep)
    for key in bases[0]:
        values = [base[key] for base in bases if key in base]
        is_setting = key not in found and not is_below(key, *NO_SETTING)
        if is_setting and len(values) == len(bases) and any(value != values[0] for value in values[1:]):
            found[key] = {"type": "choice", "values": _distinct(values), "when": {}}
    return found


def _united(key: str, mine: dict[str, Any], theirs: dict[str, Any], sweep: str) -> dict[str, Any]:
    ends = ("low", "high", "values")
    if {k: v for k, v in mine.items() if k not in ends} != {k: v for k, v in theirs.items() if k not in ends}:
        raise UserError(
            f"`{sweep}` cannot be in one landscape with the others: it declares `{key}` in another way (type, scale, "
            "step or condition): map it by itself"
        )
    united = dict(mine)
    if "low" in mine:
        united |= {"low": min(mine["low"], theirs["low"]), "high": max(mine["high"], theirs["high"])}
    if "values" in mine:
        values = _distinct([*mine["values"], *theirs["values"]])
        united["values"] = sorted(values) if mine["type"] == "ordered" and _are_numbers(values) else values
    return united


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list({as_recorded(value): value for value in values}.values())


def _filled(table: pa.Table, space: Space, base: Mapping[str, Any]) -> pa.Table:
    """With a column for each parameter: of those that this sweep held fixed, its value wherever it had an effect."""
    for key, item in space.items():
        name = f"params.{key}"
        if name in table.column_names or key not in base:
            continue
        is_active = pa.array([True] * len(table))
        for parent, allowed in (item.get("when") or {}).items():
            is_active = pc.and_(is_active, _holds(table, parent, allowed, base))
        value = base[key]
        values = pa.array([as_recorded(value) if value is None else value] * len(table))
        table = table.append_column(name, pc.if_else(is_active, values, None))
    return table


def _holds(table: pa.Table, parent: str, allowed: Any, base: Mapping[str, Any]) -> pa.Array:
    """Of each row, whether a parameter that another one depends on has one of the values that it takes."""
    wanted = {as_recorded(value) for value in (allowed if isinstance(allowed, list | tuple) else [allowed])}
    column = f"params.{parent}"
    if column not in table.column_names:
        return pa.array([as_recorded(base.get(parent)) in wanted] * len(table))
    told = table[column].combine_chunks().dictionary_encode()
    is_wanted = pa.array([as_recorded(value) in wanted for value in told.dictionary.to_pylist()], pa.bool_())
    return pc.fill_null(is_wanted.take(told.indices), False)


def _alike(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Where one has words and another numbers in a column, all have words."""
    types: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    texts = {name for name, kinds in types.items() if len({_kind(kind) for kind in kinds} - {"null"}) > 1}
    return [_in_words(table, texts) for table in tables]


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    return str(kind)


def _in_words(table: pa.Table, names: set[str]) -> pa.Table:
    write: Callable[[Any], str | None] = lambda value: None if value is None else as_recorded(value)  # noqa: E731
    for place, name in enumerate(table.column_names):
        if name in names:
            words = pa.array([write(value) for value in table[name].to_pylist()], pa.string())
            table = table.set_column(place, name, words)
    return table


def _step(tables: Sequence[pa.Table]) -> int:
    """By how much the trials' numbers of one sweep lie behind those of the one before."""
    step = LEAST_STEP
    while step <= max((pc.max(table["trial"]).as_py() or 0) for table in tables):
        step *= 10
    return step


def _joined_origin(
    origins: Sequence[SweepOrigin], space: Space, settings: Sequence[dict[str, Any]], step: int
) -> SweepOrigin:
    first = origins[0]
    names = [origin.sweep for origin in origins]
    spec = first.spec | {"name": " + ".join(names), "space": space, "description": ""}
    return dataclasses.replace(
        first,
        sweep=" + ".join(names),
        sweep_id="+".join(origin.sweep_id for origin in origins),
        spec=spec,
        ended_by="",
        joined=[
            {
                "sweep": origin.sweep,
                "sweep_id": origin.sweep_id,
                "first_number": place * step,
                "settings": told,
            }
            for place, (origin, told) in enumerate(zip(origins, settings, strict=True))
        ],
    )
