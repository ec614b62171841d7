"""A figure's numbers as pandas DataFrames, whatever its view is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Rows = list[dict[str, Any]]
MAIN = "view"
"""The part with what belongs to the view itself."""


def frames_of(view: Any) -> dict[str, pd.DataFrame]:
    """Part -> its rows, of a view, which is a dataclass.

    A list of dataclasses is a part with a row for each, named by its place (`full.points`), with the fields of what it
    lies in where that is a list, too. Lists of numbers of one length that belong together are the columns of a part;
    single values are one row.
    """
    import pandas as pd

    parts: dict[str, Rows] = {}
    _walk(view, "", {}, parts)
    return {name: pd.DataFrame(rows) for name, rows in parts.items() if rows}


def whole_frame(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All parts beneath each other, told apart by the column `part`."""
    import pandas as pd

    if not parts:
        return pd.DataFrame({"part": []})
    return pd.concat([frame.assign(part=name) for name, frame in parts.items()], ignore_index=True)


def _walk(value: Any, path: str, above: dict[str, Any], parts: dict[str, Rows]) -> None:
    """Adds what lies in a dataclass; `above` are the single values of the rows that it lies in."""
    fields = _fields(value)
    single = {name: item for name, item in fields.items() if _is_single(item)}
    columns = {name: item for name, item in fields.items() if _is_column(item)}
    for name, item in fields.items():
        if dataclasses.is_dataclass(item):
            inner = _fields(item)
            if "x" in columns and all(_is_column(one) for one in inner.values()):
                columns |= {f"{name}.{key}": one for key, one in inner.items()}
            else:
                _walk(item, _below(path, name), above, parts)
        elif _is_list_of_dataclasses(item):
            for one in item:
                row = above | {key: it for key, it in _fields(one).items() if _is_single(it)}
                parts.setdefault(_below(path, name), []).append(row | _mappings(one))
                _walk(one, _below(path, name), row, parts)
    for names in _of_one_length(columns):
        place = _below(path, "curve" if "x" in names else names[0])
        rows = zip(*(columns[name] for name in names), strict=True)
        parts.setdefault(place, []).extend(above | dict(zip(names, row, strict=True)) for row in rows)
    if single and not above and (path or columns or parts):
        parts.setdefault(path or MAIN, []).append(single)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _mappings(value: Any) -> dict[str, Any]:
    """Small mappings of a row as columns: `measures.gate_open`."""
    return {
        f"{name}.{key}": item
        for name, content in _fields(value).items()
        if isinstance(content, Mapping)
        for key, item in content.items()
        if _is_single(item)
    }


def _of_one_length(columns: Mapping[str, Any]) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for name, values in columns.items():
        found.setdefault(len(values), []).append(name)
    return list(found.values())


def _is_single(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _is_column(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) > 0 and all(_is_single(item) for item in value)


def _is_list_of_dataclasses(value: Any) -> bool:
    return (
        isinstance(value, tuple) and len(value) > 0 and all(dataclasses.is_dataclass(item) for item in value)
    )


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
