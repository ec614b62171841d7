"""Checks of a layer's arguments: a wrong type is refused as a wrong value is."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, TypeGuard


def require(holds: bool, rule: str, value: object) -> None:
    """Raises: ValueError, with the rule and the value, where the rule does not hold."""
    if not holds:
        raise ValueError(f"`{rule}` must hold, but got {value!r}")


def is_integer(value: object) -> TypeGuard[int]:
    """NumPy's integers are; True and 3.0 are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """NumPy's numbers are; True, NaN, infinities and tensors are not."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_one_of(value: object, allowed: tuple[Any, ...]) -> bool:
    """Whether it is None, where that is allowed, or one of the strings."""
    return (value is None or isinstance(value, str)) and value in allowed
