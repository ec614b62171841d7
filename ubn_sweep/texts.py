"""Values as text: one way for each kind of reader."""

from __future__ import annotations

import json
from typing import Any

NONE = "none"


def as_recorded(value: Any) -> str:
    """For stores and tables, exact and alike everywhere: none, true, 0.1, text as it is, and lists as JSON."""
    if value is None:
        return NONE
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else json.dumps(value)


def as_yaml(value: Any, digits: int | None = None) -> str:
    """For whoever types it into a YAML file: null, true, 0.1, [a, b]; real numbers to so many digits, if told."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(as_yaml(item, digits) for item in value)}]"
    return f"{value:.{digits}g}" if isinstance(value, float) and digits is not None else str(value)


def as_shown(value: Any) -> str:
    """For a glance at a table or a figure: none, on, off, and three digits."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
