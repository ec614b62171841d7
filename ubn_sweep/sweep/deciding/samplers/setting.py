"""What a sampler is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.sweep.spec.goals import MapConfig


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Of one sweep."""

    seed: int
    rung_levels: tuple[int, ...]
    """The epochs before the last where trials are compared."""
    max_epochs: int
    options: Mapping[str, Any] = field(default_factory=dict)
    """The spec's `search.sampler_options`."""
    names: tuple[str, ...] = ()
    """Of all parameters, in the order in which they are decided; those left out come behind as they are met."""
    declared: DeclaredSpace | None = None
    """The space with its conditions; None where nobody knows it."""
    map: MapConfig | None = None
    """What is mapped; None where the best is searched."""
    listed: frozenset[str] = frozenset()
    """Parameters whose values the user has listed, one by one or by a step."""
    objectives: int = 1
    """Or 2."""
