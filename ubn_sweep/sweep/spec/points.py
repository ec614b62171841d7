"""Points of the user's own: in the spec, or in a YAML or CSV file beside it; checked one by one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ubn_sweep import schema
from ubn_sweep.dotted import flatten
from ubn_sweep.errors import UserError
from ubn_sweep.source import Place, Source, file_source
from ubn_sweep.sweep.spec.parameters import (
    ConstantParameter,
    FloatParameter,
    IntParameter,
    Scalar,
    possible_values,
    same,
)
from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.texts import as_yaml

PLACE = ("search", "points")


class _Given(NamedTuple):
    """One point as it was written."""

    at: Callable[[str], str]
    """The place of one of its keys, for the beginning of a message; of the whole point for an empty one."""
    values: Mapping[str, Any]


def read_points(spec: SweepSpec, source: Source, folder: Path) -> tuple[Params, ...]:
    """The points of `search.points`, whole: what one leaves out has the base's value.

    Raises:
        UserError: a file cannot be read, or something is no point of the space; the message names its place.
    """
    given = spec.search.points
    if isinstance(given, str):
        written = _from_file(folder / given, source.at(PLACE))
    else:
        written = [] if given is None else _from_list(given, source, PLACE)
    if len(written) > spec.search.trials:
        raise UserError(
            f"{source.at(PLACE)}: holds {len(written)} points, but search.trials is {spec.search.trials}: raise it, "
            "or drop some"
        )
    space = Space(spec)
    points: list[Params] = []
    places: dict[Any, int] = {}
    for number, point in enumerate(written, start=1):
        params = _point(space, spec, point)
        before = places.setdefault(space.identity(params), number)
        if before != number:
            raise UserError(f"{point.at('')}: is point {before} again: drop one of them")
        points.append(params)
    return tuple(points)


# ---------------------------------------------------------------- reading


def _from_list(content: Any, source: Source, place: Place) -> list[_Given]:
    if not isinstance(content, list | tuple):
        raise UserError(
            f"{source.at(place)}: must be a list of mappings, or in a spec the name of a YAML or CSV file beside it, "
            f"but got {content!r}: write `- {{key: value}}`, a line each"
        )

    def at(number: int) -> Callable[[str], str]:
        return lambda key: source.at((*place, str(number), key) if key else (*place, str(number)))

    for number, item in enumerate(content):
        if not isinstance(item, dict):
            raise UserError(f"{at(number)('')}: must be a mapping of keys to values, but got {item!r}")
    return [_Given(at=at(number), values=flatten(item)) for number, item in enumerate(content)]


def _from_file(path: Path, where: str) -> list[_Given]:
    if path.suffix not in (".yaml", ".yml", ".csv"):
        raise UserError(f"{where}: must end in .yaml or .csv, but got `{path.name}`: rename the file")
    if not path.is_file():
        raise UserError(f"{where}: there is no file `{path}`: paths start from the spec's own folder")
    if path.suffix == ".csv":
        return _from_csv(path)
    content, text = schema.load_yaml(path)
    return _from_list(content, file_source(str(path), text), ())


def _from_csv(path: Path) -> list[_Given]:
    """A column for each key, a row for each point; what a point does not have is left empty."""

    def at(line: int) -> Callable[[str], str]:
        return lambda key: f"{path}:{line}: {key}" if key else f"{path}:{line}"

    points = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, skipinitialspace=True)
            for row in rows:
                if None in row or None in row.values():
                    raise UserError(
                        f"{at(rows.line_num)('')}: has not as many cells as the first line: mend it"
                    )
                values = {key: text.strip() for key, text in row.items() if text.strip()}
                points.append(_Given(at=at(rows.line_num), values=values))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}): give a CSV file in UTF-8") from error
    return points


# ---------------------------------------------------------------- checking


def _point(space: Space, spec: SweepSpec, given: _Given) -> Params:
    for key in given.values:
        if key not in spec.space:
            near = schema.did_you_mean(key, list(spec.space))
            raise UserError(f"{given.at(key)}: is not varied{near}; varied are {', '.join(spec.space)}")
    params: Params = {}
    for key in space.keys:
        if not space.is_active(key, params):
            if key in given.values:
                raise UserError(
                    f"{given.at(key)}: does not exist in this point, {_why(spec, key)}: leave it out"
                )
        elif key in given.values:
            params[key] = _meant(space, spec.space[key], key, given)
        else:
            params[key] = _left_out(space, spec.space[key], key, given)
    try:
        space.config(params)
    except UserError as error:
        message = str(error).removeprefix("the trial's config: ")
        raise UserError(f"{given.at('')}: is not allowed: {message}") from error
    return params


def _why(spec: SweepSpec, key: str) -> str:
    conditions = (f"{parent} is {as_yaml(allowed)}" for parent, allowed in spec.space[key].when.items())
    return f"but only where {' and '.join(conditions)}"


def _meant(space: Space, parameter: Any, key: str, given: _Given) -> Scalar:
    """The parameter's value that was written, maybe as text."""
    written = given.values[key]
    values = possible_values(parameter)
    if values is not None:
        value = next((v for v in values if same(v, written) or _is_text_of(written, v)), None)
        if value is not None or any(v is None and written in (None, "null") for v in values):
            return value
        allowed = ", ".join(map(as_yaml, values))
    else:
        assert isinstance(parameter, FloatParameter | IntParameter)
        number = _number(written)
        if number is not None and space.contains(key, number):
            return round(number) if isinstance(parameter, IntParameter) else number
        step = f" in steps of {parameter.step}" if parameter.step is not None else ""
        whole = "a whole number " if isinstance(parameter, IntParameter) else ""
        allowed = f"{whole}from {parameter.low} to {parameter.high}{step}"
    raise UserError(
        f"{given.at(key)}: is no value of the space; it can be {allowed}, but got {as_yaml(written)}"
    )


def _left_out(space: Space, parameter: Any, key: str, given: _Given) -> Scalar:
    if isinstance(parameter, ConstantParameter):
        return parameter.value
    value = space.base_value(key)
    if not space.contains(key, value):
        raise UserError(
            f"{given.at('')}: leaves out `{key}`, and base has {as_yaml(value)}, which the space does not hold: give it"
        )
    return value


def _is_text_of(written: Any, value: Scalar) -> bool:
    """Cells of a CSV file are text."""
    if not isinstance(written, str) or isinstance(value, str):
        return False
    if isinstance(value, bool) or value is None:
        return written.lower() == as_yaml(value)
    return _number(written) == value


def _number(written: Any) -> float | None:
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return None
    try:
        return float(written)
    except ValueError:
        return None
