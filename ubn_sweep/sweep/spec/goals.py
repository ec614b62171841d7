"""What a sweep is after: the best config, or a map of one parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Goal = Literal["best", "map"]
MAP_AUDIT = 4
"""Every so-many-th trial of a map is an audit, where the spec does not say."""


@dataclass(frozen=True, kw_only=True)
class MapConfig:
    """The profile that a map learns: the value at the full budget along one parameter's range."""

    over: str = "norm.threshold"
    """A range or an ordered parameter of the space."""
    by: tuple[str, ...] = ()
    """Choices of the space for whose values it is learned one by one."""
    where: Literal["everywhere", "not_ruled_out"] = "everywhere"
    """Where on the range the next trials lie; `ubn-sweep map` goes where the best may still be."""
