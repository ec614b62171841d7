"""One constructor for the relatives: the rows of table 3 as a categorical choice."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ubn_sweep.nn.layers import UnifiedBatchNorm2d

ROWS: dict[str, dict[str, Any]] = {
    "rbn": {"threshold": None, "centering": True, "scaling": "representative", "affine": "pointwise"},
    "iebn": {"threshold": None, "centering": False, "scaling": "instance", "affine": "pointwise"},
    "bnet": {"threshold": None, "centering": False, "scaling": None, "affine": "depthwise"},
    "sabn": {"threshold": None, "centering": False, "scaling": None, "affine": "sandwich"},
    "ubn": {"threshold": 0.15, "centering": True, "scaling": "representative", "affine": "depthwise"},
}
"""Options of UnifiedBatchNorm2d for each of its names; `bn` is PyTorch's own."""

NORM_NAMES: tuple[str, ...] = ("bn", "in", "gn", *ROWS)

GROUPS = 32


def make_norm(
    name: str,
    channels: int,
    *,
    groups: int = GROUPS,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **options: Any,
) -> nn.Module:
    """A normalization layer by its name, with x (N, channels, H, W) -> y of the same shape.

    bn, in, gn: nn.BatchNorm2d, nn.InstanceNorm2d with an affine step, nn.GroupNorm with the largest divisor
    of channels that is at most `groups`. rbn, iebn, bnet, sabn, ubn: UnifiedBatchNorm2d as in ROWS; sabn needs
    `num_conditions` and is called with a condition.
    options: handed to the layer, on top of the name's own (make_norm("ubn", 64, threshold=0.2)).
    Raises: ValueError for an unknown name, TypeError for an option that the layer does not have.
    """
    factory: dict[str, Any] = {"device": device, "dtype": dtype}
    if name == "bn":
        return nn.BatchNorm2d(channels, **options, **factory)
    if name == "in":
        return nn.InstanceNorm2d(channels, **{"affine": True, **options}, **factory)
    if name == "gn":
        divisor = max(d for d in range(1, min(groups, channels) + 1) if channels % d == 0)
        return nn.GroupNorm(divisor, channels, **options, **factory)
    if name not in ROWS:
        raise ValueError(f"unknown normalization {name!r}: choose one of {', '.join(NORM_NAMES)}")
    return UnifiedBatchNorm2d(channels, **{**ROWS[name], **options}, **factory)
