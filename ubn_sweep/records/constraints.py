"""What a trial must keep to count as one of the best: bounds on metrics that it reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """The bounds of one metric, both ends within; null is none."""

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        given = [bound for bound in (self.min, self.max) if bound is not None]
        if not given:
            raise ValueError(
                "a constraint has `min` or `max`, but got neither: give {max: 2.0}, for instance"
            )
        if not all(map(math.isfinite, given)):
            raise ValueError(
                f"`min` and `max` must be finite, but got {self.min} and {self.max}: give numbers"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min <= max` must hold, but got {self.min} > {self.max}: swap them")

    def is_met(self, value: float) -> bool:
        """NaN meets nothing."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def text(self, name: str) -> str:
        """`epoch_s <= 2`."""
        low = f"{self.min:g} <= " if self.min is not None and self.max is not None else ""
        if self.max is not None:
            return f"{low}{name} <= {self.max:g}"
        return f"{name} >= {self.min:g}"


def constraints_of(spec: Mapping[str, Any]) -> dict[str, Constraint]:
    """Of a recorded spec; none in one of version 0.1."""
    found = spec.get("objective", {}).get("constraints") or {}
    return {name: Constraint(min=item.get("min"), max=item.get("max")) for name, item in found.items()}


def unmet(constraints: Mapping[str, Constraint], metrics: Mapping[str, float | None]) -> list[str]:
    """The constraints that metrics do not meet, in words; a metric that is absent meets none."""
    values = {name: metrics.get(name) for name in constraints}
    return [
        constraint.text(name)
        for name, constraint in constraints.items()
        if (value := values[name]) is None or math.isnan(value) or not constraint.is_met(value)
    ]
