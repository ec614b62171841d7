"""Nested mappings by dotted keys: `norm.threshold` is `threshold` below `norm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class NotAMappingError(ValueError):
    """A key leads through a value that has no keys of its own."""

    def __init__(self, key: str, place: str, value: Any) -> None:
        super().__init__(f"`{key}` leads through `{place}`, which holds {value!r} and no keys: set `{place}`")
        self.place = place
        """The dotted key of that value."""
        self.value = value


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; an empty mapping vanishes."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def leaf_keys(content: Mapping[str, Any]) -> list[str]:
    """The dotted keys of all values that are no mappings, in the order of the file."""
    return list(flatten(content))


def is_below(key: str, *places: str) -> bool:
    """Whether a key is one of the places, or lies in one of them."""
    return any(key == place or key.startswith(f"{place}.") for place in places)


def value_at(content: Mapping[str, Any], key: str) -> Any:
    """The value under a dotted key. KeyError where there is none."""
    value: Any = content
    for part in key.split("."):
        if not isinstance(value, Mapping):
            raise KeyError(key)
        value = value[part]
    return value


def set_at(content: dict[str, Any], key: str | Sequence[str], value: Any) -> None:
    """Sets the value under a dotted key, or under a list of keys that may have dots themselves.

    Mappings that are absent or null on the way are made.

    Raises:
        NotAMappingError: a value on the way is no mapping.
    """
    *parents, last = key.split(".") if isinstance(key, str) else key
    for depth, part in enumerate(parents, start=1):
        inner = content.get(part)
        if inner is None:
            inner = content[part] = {}
        if not isinstance(inner, dict):
            raise NotAMappingError(".".join((*parents, last)), ".".join(parents[:depth]), inner)
        content = inner
    content[last] = value
