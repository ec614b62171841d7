"""What the fields of a config's schema say of themselves, and what follows from it for the values."""

from __future__ import annotations

import copy
import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ubn_sweep.dotted import set_at, value_at

PATH = "path"
"""In a field's metadata: the value is the path of a file or folder, from the current folder where it is not whole."""


def leaves(kind: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """(dotted key, type) of all fields of a config's schema that have no fields of their own."""
    found: list[tuple[str, Any]] = []
    for name, inner in typing.get_type_hints(kind).items():
        if name not in {item.name for item in dataclasses.fields(kind)}:
            continue
        if dataclasses.is_dataclass(inner):
            found += leaves(inner, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", inner))
    return found


def is_text(kind: Any) -> bool:
    """Whether values are words: text, or one of several texts."""
    if kind is str or isinstance(kind, str):
        return True
    return any(is_text(member) for member in typing.get_args(kind) if member is not type(None))


def metadata_of(kind: Any, name: str, prefix: str = "") -> dict[str, str]:
    """Key -> what the schema's fields say of themselves under `name`."""
    found: dict[str, str] = {}
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[item.name]):
            found |= metadata_of(hints[item.name], name, f"{prefix}{item.name}.")
        elif name in item.metadata:
            found[f"{prefix}{item.name}"] = item.metadata[name]
    return found


def with_whole_paths(kind: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """A plain config whose paths are whole: it travels to processes that have another current folder."""
    whole = copy.deepcopy(dict(config))
    for key in metadata_of(kind, PATH):
        try:
            value = value_at(whole, key)
        except KeyError:  # a default
            continue
        if isinstance(value, str):
            set_at(whole, key, str(Path(value).expanduser().absolute()))
    return whole
