"""Numbers that JSON has no word for, NaN and the infinities: as text that is read back, or as null."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any


def dumps(value: Any, **options: Any) -> str:
    """JSON in which NaN and the infinities are the text `nan`, `inf` and `-inf`: `float` reads them back."""
    return json.dumps(_replaced(value, _as_text), allow_nan=False, **options)


def with_nulls(value: Any) -> Any:
    """The value for readers that know numbers alone: NaN and the infinities are null, keys text, tuples lists."""
    return _replaced(value, lambda number: None)


def _as_text(number: float) -> str:
    return repr(float(number))  # NumPy's own floats write themselves otherwise


def _replaced(value: Any, odd: Callable[[float], str | None]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return odd(value)
    if isinstance(value, dict):
        return {str(key): _replaced(item, odd) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(item, odd) for item in value]
    return value
