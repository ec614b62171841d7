"""What a task reports, as plain numbers."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any


def as_numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Floats, from tensors and arrays of one number too. Looked at where they are made, which alone can fail by it.

    Raises:
        ValueError: a metric is no number.
    """
    found = {}
    for name, value in metrics.items():
        is_number = isinstance(value, numbers.Real) or (
            hasattr(value, "__float__") and not isinstance(value, str)
        )
        if not is_number:
            raise ValueError(f"the metric `{name}` must be a number, but got {value!r}: report it as a float")
        found[name] = float(value)
    return found
