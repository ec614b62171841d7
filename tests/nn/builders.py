"""Layers away from their starting point, where no term of a gradient vanishes, and images for them.

All of it lies on DEVICE. UBN_SWEEP_TEST_DEVICE=cuda pytest tests/nn runs the suite on a GPU.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from ubn_sweep.nn import SandwichBatchNorm2d, make_norm
from ubn_sweep.nn.layers import GatedBatchNorm2d

DEVICE_VARIABLE = "UBN_SWEEP_TEST_DEVICE"
DEVICE = torch.device(os.environ.get(DEVICE_VARIABLE, "cpu"))
ROWS = ("rbn", "iebn", "bnet", "sabn", "ubn")
GATES = {"off": None, "open": -2.0, "closed": 2.0}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CONDITIONS = 3


def shaken_layer(
    channels: int,
    *,
    name: str = "ubn",
    gate: str = "off",
    seed: int = 0,
    device: torch.device | str = DEVICE,
    **options: Any,
) -> GatedBatchNorm2d:
    """A layer with random parameters and running statistics; a closed gate has accepted batches before."""
    generator = torch.Generator().manual_seed(seed)
    conditions = {"num_conditions": CONDITIONS} if name == "sabn" else {}
    layer = make_norm(name, channels, device=device, **{"threshold": GATES[gate], **conditions, **options})
    assert isinstance(layer, GatedBatchNorm2d)
    with torch.no_grad():
        if isinstance(layer, SandwichBatchNorm2d):
            layer.condition_weight.fill_(1.0)
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator).to(parameter)
        layer.running_mean += torch.randn(channels, generator=generator).to(layer.running_mean)
        layer.running_var *= 0.5 + torch.rand(channels, generator=generator).to(layer.running_var)
        if gate == "closed":
            layer.num_batches_tracked += 3
            layer.running_similarity += 0.2
    return layer


def images(
    *shape: int,
    seed: int = 1,
    layout: str = "contiguous",
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = DEVICE,
) -> Tensor:
    """The same numbers on every device."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64) * 1.5 + 0.7
    return x.to(device, dtype).contiguous(memory_format=LAYOUTS[layout])


def condition_for(layer: nn.Module, samples: int) -> tuple[Tensor, ...]:
    """The condition to call the layer with, as a tuple to unpack."""
    if not isinstance(layer, SandwichBatchNorm2d):
        return ()
    return (torch.arange(samples, device=layer.weight.device) % CONDITIONS,)
