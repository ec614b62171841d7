"""The list of normalization layers by name: rows of the paper's table 3, as a categorical choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ubn_sweep.nn.layers import (
    SandwichBatchNorm2d,
    SynchronizedSandwichBatchNorm2d,
    SynchronizedUnifiedBatchNorm2d,
    UnifiedBatchNorm2d,
)
from ubn_sweep.nn.options import is_integer, require

GROUPS = 32
CHANNELS_PER_GROUP = 4
"""At least: a group of one channel is an instance."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """How a layer is made, and what must be known of it where it takes another one's place."""

    make: Callable[..., nn.Module]
    """(num_features, **options) -> the layer."""
    synchronized: Callable[..., nn.Module] | None = None
    """As `make`, with statistics that all processes share; None where there is no such layer."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the name sets; others can be given, and these be overridden."""
    running_statistics: bool = True
    """Whether it keeps BatchNorm2d's buffers, and takes the momentum that moves them."""
    needs_condition: bool = False
    """Whether it is called with a condition beside x."""


def _instance_norm(num_features: int, *, affine: bool = True, **options: Any) -> nn.Module:
    return nn.InstanceNorm2d(num_features, affine=affine, **options)


def _group_norm(
    num_features: int, *, groups: int = GROUPS, min_channels: int = CHANNELS_PER_GROUP, **options: Any
) -> nn.Module:
    """With as many groups as divide num_features, at most `groups`, of at least `min_channels` each."""
    _require_count("num_features", num_features)
    _require_count("groups", groups)
    _require_count("min_channels", min_channels)
    most = max(1, min(groups, num_features // min_channels))
    divisor = max(d for d in range(1, most + 1) if num_features % d == 0)
    return nn.GroupNorm(divisor, num_features, **options)


def _layer_norm(num_features: int, **options: Any) -> nn.Module:
    """Over all of C, H, W of a sample, as one group of channels."""
    _require_count("num_features", num_features)
    return nn.GroupNorm(1, num_features, **options)


def _require_count(name: str, value: int) -> None:
    require(is_integer(value) and value >= 1, f"{name} is an integer >= 1", value)


def _unified(**options: Any) -> Family:
    return Family(make=UnifiedBatchNorm2d, synchronized=SynchronizedUnifiedBatchNorm2d, options=options)


FAMILIES: dict[str, Family] = {
    "bn": Family(make=nn.BatchNorm2d),
    "in": Family(make=_instance_norm, running_statistics=False),
    "gn": Family(make=_group_norm, running_statistics=False),
    "ln": Family(make=_layer_norm, running_statistics=False),
    "rbn": _unified(threshold=None, centering=True, scaling="representative", affine="pointwise"),
    "iebn": _unified(threshold=None, centering=False, scaling="instance", affine="pointwise"),
    "bnet": _unified(threshold=None, centering=False, scaling=None, affine="depthwise"),
    "sabn": Family(
        make=SandwichBatchNorm2d, synchronized=SynchronizedSandwichBatchNorm2d, needs_condition=True
    ),
    "ubn": _unified(threshold=0.15, centering=True, scaling="representative", affine="depthwise"),
}
"""A layer that is added here can be made, and take BatchNorm2d's place in a model (surgery.py asks the row)."""

NORM_NAMES: tuple[str, ...] = tuple(FAMILIES)


def family(name: str) -> Family:
    """Raises: ValueError for an unknown name."""
    if name not in FAMILIES:
        raise ValueError(f"unknown normalization {name!r}: choose one of {', '.join(NORM_NAMES)}")
    return FAMILIES[name]


def make_norm(
    name: str,
    channels: int,
    *,
    synchronized: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **options: Any,
) -> nn.Module:
    """A normalization layer by its name, with x (N, channels, H, W) -> y of the same shape.

    bn, in, gn, ln: nn.BatchNorm2d, nn.InstanceNorm2d with an affine step, nn.GroupNorm with the largest divisor
    of channels that is at most `groups` (32) and leaves `min_channels` (4) to each, and with one group. rbn,
    iebn, bnet, ubn: UnifiedBatchNorm2d as in FAMILIES. sabn: SandwichBatchNorm2d, which needs `num_conditions` and
    is called with a condition.
    synchronized: with statistics that all processes share.
    options: handed to the layer, on top of the name's own (make_norm("ubn", 64, threshold=0.2)).
    Raises: ValueError for an unknown name, an option of a wrong type or outside its range, or `synchronized` where
        there is no such layer; TypeError for an option that the layer does not have.
    """
    row = family(name)
    make = row.synchronized if synchronized else row.make
    if make is None:
        raise ValueError(f"`synchronized` needs a form of UBN, but got {name!r}: leave it out")
    return make(channels, **{**row.options, **options}, device=device, dtype=dtype)
