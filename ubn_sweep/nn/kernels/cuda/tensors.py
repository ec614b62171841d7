"""Which tensors the Triton kernels take, and what they are handed of them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ubn_sweep.nn.kernels.cuda.tiles import pointwise_tile, row_tile
from ubn_sweep.nn.kernels.interface import Rectifiers, Statistics

KERNEL_SIZES = (1, 3, 5)
STATISTICS = (torch.float32, torch.float64)
TYPES = (torch.float16, torch.bfloat16, *STATISTICS)
LARGEST_IMAGE = 2**31 - 1
"""Elements: the kernels count those of one image in 32 bits."""
LARGEST_GRID = 65535
"""Programs along a grid's third axis."""


def takes(*tensors: Tensor) -> bool:
    return all(t.is_cuda and t.dtype in TYPES for t in tensors)


def on_device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, whatever its arguments."""
    if not x.is_cuda or x.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(x.device)


def is_dense(x: Tensor) -> bool:
    """In one of the two layouts, and of a size that the kernels can count."""
    if x.shape[1] * x.shape[2] * x.shape[3] > LARGEST_IMAGE:
        return False
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)


def lies_channels_last(x: Tensor) -> bool:
    return not x.is_contiguous()


def takes_layer(x: Tensor, R: Rectifiers) -> bool:
    kernel = R.weight.shape[-1] if R.weight is not None and R.depthwise else 1
    taken = x.numel() > 0 and is_dense(x) and kernel in KERNEL_SIZES and takes_bias(R)
    return taken and programs_of_an_image(x, kernel if R.depthwise else None) <= LARGEST_GRID


def programs_of_an_image(x: Tensor, kernel: int | None) -> int:
    """Along the grid's third axis, of a depthwise kernel or a pointwise layer."""
    N, C, H, W = x.shape
    if kernel is None:
        return -(-H * W // (4 * pointwise_tile(N, C, H * W, lies_channels_last(x))[0]))
    tile = row_tile(C, H, W, lies_channels_last(x), kernel)
    return tile.segments * tile.runs


def takes_bias(R: Rectifiers) -> bool:
    """A bias of each sample comes with a weight of each sample, and no other weight or bias does."""
    return R.bias is None or (R.bias.dim() == 2) == R.per_sample


def vectors_of(statistics: Statistics, R: Rectifiers) -> tuple[Tensor | None, ...]:
    """(mean, rstd, w_m, w_v, w_b), as the kernels want them: contiguous."""
    values = (statistics.mean, statistics.rstd, R.w_m, R.w_v, R.w_b)
    return tuple(None if value is None else value.contiguous() for value in values)


def both_contiguous(values: tuple[Tensor | None, Tensor | None]) -> tuple[Tensor | None, Tensor | None]:
    first, second = values
    return None if first is None else first.contiguous(), None if second is None else second.contiguous()
