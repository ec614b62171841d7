"""What a trial is measured by: a metric's name, unit and direction, and how people read its values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Direction = Literal["max", "min"]
SHARE = "share"
"""The unit of counted examples: 0 to 1, written in percent, with a binomial error where the count is known."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a task reports, or states of a trained model."""

    name: str
    """As reported: `val_top1`."""
    label: str
    """As figures and tables write it: `validation accuracy`."""
    direction: Direction
    """Which way is better."""
    unit: str = ""
    """`share`, or what stands behind the number (`s`, `mg/dl`); empty for a bare number."""
    count: str | None = None
    """Of a share: the metric that says of how many examples."""
    test: str | None = None
    """The same on the test set, as the final training reports it."""

    @property
    def is_share(self) -> bool:
        return self.unit == SHARE

    @property
    def on_test(self) -> str:
        """What it is called on the test set."""
        return self.name if self.test is None else self.test

    @property
    def spread(self) -> str:
        """The metric that holds its standard deviation over repeats."""
        return f"{self.name}_std"

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which values it lies, turned so that higher is better; infinite where nothing is known."""
        if not self.is_share:
            return -math.inf, math.inf
        return (0.0, 1.0) if self.direction == "max" else (-1.0, 0.0)

    def better(self, value: float) -> float:
        """The value turned so that higher is better."""
        return value if self.direction == "max" else -value

    def text(self, value: float, digits: int = 2) -> str:
        """`93.21%`, `0.4217`, `3.914 s`; `digits` are those of percents."""
        if self.is_share:
            return f"{value:.{digits}%}"
        return f"{_number(value)} {self.unit}".rstrip()

    def difference(self, value: float, digits: int = 2) -> str:
        """A difference of two values: in points where they are shares."""
        if self.is_share:
            return f"{100 * value:.{digits}f} points"
        return f"{value:.3g} {self.unit}".rstrip()


def _number(value: float) -> str:
    """Four digits; large whole numbers, which are counted, as they are: `77,850`."""
    is_count = 1e4 <= abs(value) < 1e15 and value == int(value)
    return f"{value:,.0f}" if is_count else f"{value:.4g}"
