"""Nested values as flat ones, and values as text: written alike wherever sweeps are recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

NONE = "none"


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys; an empty mapping vanishes."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def as_text(value: Any) -> str:
    """A value as people write it in YAML: none, true, 0.1, text as it is, and lists as JSON."""
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else json.dumps(value)


def short_text(value: Any) -> str:
    """A value as tables and figures show it, where there is little room: none, on, 0.123, else as text."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
