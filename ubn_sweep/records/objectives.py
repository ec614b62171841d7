"""What a recorded sweep is judged by: one metric or two, each with its direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric and which way is better."""

    metric: str
    maximized: bool

    def turned(self, value: float) -> float:
        """Higher is better; the same again gives the value back."""
        return value if self.maximized else -value

    def score(self, metrics: Mapping[str, float]) -> float:
        """The metric turned so; NaN where it is absent."""
        return self.turned(metrics.get(self.metric, math.nan))


def objectives_of(spec: Mapping[str, Any]) -> tuple[Objective, ...]:
    """Of a recorded spec, the leading one first."""
    first = spec["objective"]
    second = first.get("second")
    return tuple(
        Objective(metric=str(item["metric"]), maximized=item.get("mode") != "min")
        for item in ([first] if second is None else [first, second])
    )
