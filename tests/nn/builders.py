"""Layers away from their starting point, where no term of a gradient vanishes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ubn_sweep.nn import UnifiedBatchNorm2d, make_norm

ROWS = ("rbn", "iebn", "bnet", "sabn", "ubn")
GATES = {"off": None, "open": -2.0, "closed": 2.0}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def shaken_layer(
    channels: int, *, name: str = "ubn", gate: str = "off", seed: int = 0, **options: Any
) -> UnifiedBatchNorm2d:
    """A layer with random parameters and running statistics; a closed gate has accepted batches before."""
    generator = torch.Generator().manual_seed(seed)
    conditions = {"num_conditions": 3} if name == "sabn" or options.get("affine") == "sandwich" else {}
    layer = make_norm(name, channels, **{"threshold": GATES[gate], **conditions, **options})
    assert isinstance(layer, UnifiedBatchNorm2d)
    with torch.no_grad():
        if layer.condition_weight is not None:
            layer.condition_weight.fill_(1.0)
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        layer.running_mean += torch.randn(channels, generator=generator).to(layer.running_mean.dtype)
        layer.running_var *= 0.5 + torch.rand(channels, generator=generator).to(layer.running_var.dtype)
        if gate == "closed":
            layer.num_batches_tracked += 3
            layer.running_similarity += 0.2
    return layer


def images(*shape: int, seed: int = 1, layout: str = "contiguous", dtype: Any = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64) * 1.5 + 0.7
    return x.to(dtype).contiguous(memory_format=LAYOUTS[layout])


def condition_for(layer: UnifiedBatchNorm2d, samples: int) -> tuple[Tensor, ...]:
    """The condition to call the layer with, as a tuple to unpack."""
    return (torch.arange(samples) % 3,) if layer.affine == "sandwich" else ()
