"""Parts of each parameter's range: its values, or equal parts of a range, on its own scale."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ubn_sweep.texts import as_recorded, as_shown

PARTS = 4


@dataclass(frozen=True, kw_only=True)
class Region:
    """One value, as itself and as a table writes it, or what lies from `low` to below `high`."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0

    def has(self, value: Any) -> bool:
        """Whether a trial's value lies in it."""
        return value in self.values if self.values else self.low <= value < self.high


def regions_of(item: dict[str, Any], *, parts: int = PARTS) -> tuple[Region, ...]:
    """Of a parameter as the sweep recorded it; empty for a constant and for a range of one value."""
    if item["type"] == "constant":
        return ()
    if item["type"] in ("choice", "ordered"):
        return tuple(Region(name=as_shown(v), values=(v, as_recorded(v))) for v in item["values"])
    low, high = float(item["low"]), float(item["high"])
    if low >= high:
        return ()
    edges = np.geomspace(low, high, parts + 1) if item.get("log") else np.linspace(low, high, parts + 1)
    # The highest value belongs to the last part.
    ends = [*edges[:-1].tolist(), float(np.nextafter(high, np.inf))]
    return tuple(Region(name=f"{a:.2g} to {min(b, high):.2g}", low=a, high=b) for a, b in pairwise(ends))
