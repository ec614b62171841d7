"""What one varied hyperparameter may be, as a spec's `space` states it, and as Optuna samples it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

Scalar = bool | int | float | str | None
Conditions = dict[str, Scalar | list[Scalar]]


def _check_range(low: float, high: float, log: bool, step: float | None) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"`low` and `high` must be finite, but got {low} and {high}: give numbers")
    if low > high:
        raise ValueError(f"`low <= high` must hold, but got {low} > {high}: swap them")
    if log and low <= 0:
        raise ValueError(f"a log scale needs `low > 0`, but got {low}: raise it or drop `log`")
    if step is not None and step <= 0:
        raise ValueError(f"`step > 0` must hold, but got {step}: leave it out for a continuous range")
    if log and step is not None:
        raise ValueError("`log` and `step` exclude each other: drop the one, or list the values as `ordered`")


def _check_values(values: Sequence[Scalar]) -> None:
    if not values:
        raise ValueError("`values` must not be empty: list at least one")
    if len({(type(value), value) for value in values}) < len(values):
        raise ValueError(f"`values` must differ, but got {list(values)}: drop the repeated ones")


@dataclass(frozen=True, kw_only=True)
class FloatParameter:
    """A real number in [low, high], on a log scale or in steps where wanted."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log, self.step)

    def extremes(self) -> list[Scalar]:
        return [self.low, self.high]


@dataclass(frozen=True, kw_only=True)
class IntParameter:
    """A whole number in [low, high], on a log scale or in steps where wanted."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.log, self.step)

    def extremes(self) -> list[Scalar]:
        return [self.low, self.high]


@dataclass(frozen=True, kw_only=True)
class ChoiceParameter:
    """One of several values without an order."""

    type: Literal["choice"]
    values: tuple[Scalar, ...]
    when: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_values(self.values)

    def extremes(self) -> list[Scalar]:
        return list(self.values)


@dataclass(frozen=True, kw_only=True)
class OrderedParameter:
    """One of several values in their order, such as batch sizes: neighbours are taken to behave alike."""

    type: Literal["ordered"]
    values: tuple[Scalar, ...]
    when: Conditions = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_values(self.values)

    def extremes(self) -> list[Scalar]:
        return list(self.values)


@dataclass(frozen=True, kw_only=True)
class ConstantParameter:
    """A fixed value, where it holds only under a condition; otherwise write it into `base`."""

    type: Literal["constant"]
    value: Scalar
    when: Conditions = field(default_factory=dict)

    def extremes(self) -> list[Scalar]:
        return [self.value]


Parameter = Annotated[
    FloatParameter | IntParameter | ChoiceParameter | OrderedParameter | ConstantParameter,
    Field(discriminator="type"),
]


def possible_values(parameter: Any) -> list[Scalar] | None:
    """All values of a parameter that has finitely many to name; None for ranges."""
    if isinstance(parameter, ChoiceParameter | OrderedParameter):
        return list(parameter.values)
    if isinstance(parameter, ConstantParameter):
        return [parameter.value]
    return None


def every_value(parameter: Any, limit: int) -> list[Scalar] | None:
    """All values of a parameter that has at most `limit`, ranges in steps included; None for others."""
    values = possible_values(parameter)
    if values is None:
        count = count_of_range(parameter)
        if count is None or count > limit:
            return None
        step = parameter.step or 1
        values = [min(parameter.low + index * step, parameter.high) for index in range(count)]
    return values if len(values) <= limit else None


def count_of_range(parameter: FloatParameter | IntParameter) -> int | None:
    """How many values a range has; None where it is continuous."""
    if parameter.low == parameter.high:
        return 1
    step = parameter.step if isinstance(parameter, FloatParameter) else (parameter.step or 1)
    if step is None:
        return None
    # Optuna's own count, in decimals: 0.8 / 0.1 is no whole number of steps in binary.
    return int((Decimal(str(parameter.high)) - Decimal(str(parameter.low))) // Decimal(str(step))) + 1


def place_in_range(parameter: FloatParameter | IntParameter, value: float) -> float:
    """Which value of a range it is, however a step was rounded; the value itself where the range is continuous."""
    if count_of_range(parameter) is None:
        return value
    return round((value - parameter.low) / (parameter.step or 1))


def same(a: Scalar, b: Scalar) -> bool:
    """Equality that keeps true and 1 apart, as YAML does, and holds 1 and 1.0 for the same number."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)
