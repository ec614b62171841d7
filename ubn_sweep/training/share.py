"""How workers that train one network together share what there is to do. Importing it needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Share:
    """One worker's part of the work: that of `rank`, of `count`, as equal as can be."""

    rank: int = 0
    """From 0; that worker saves, reports and prints."""
    count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_whole(self) -> bool:
        """Whether the worker is alone."""
        return self.count == 1

    def bounds(self, size: int) -> tuple[int, int]:
        """Where its part of so many begins and ends; the parts lie one behind another, in the order of the ranks."""
        return size * self.rank // self.count, size * (self.rank + 1) // self.count

    def of(self, items: Any) -> Any:
        """Its part of a sequence or a tensor."""
        begin, end = self.bounds(len(items))
        return items[begin:end]


WHOLE = Share()
"""That of a worker alone."""
Ends = Sequence[tuple[int, int]]
"""Where each batch of an epoch begins and ends, of all workers together."""


def joint_batch(share: Share, batch_size: int) -> dict[str, float]:
    """What the workers make of a batch size, which is of one of them, as metrics; nothing where there is one."""
    if share.is_whole:
        return {}
    return {"workers": float(share.count), "joint_batch_size": float(batch_size * share.count)}
