"""Tensors as the arrays that the compiled loops want, and how much there is of them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ubn_sweep.nn.kernels.cpu import channels_last, contiguous, small
from ubn_sweep.nn.kernels.interface import Rectifiers, Statistics

Array = NDArray[Any]
TYPES = (torch.float32, torch.float64)


def takes(*tensors: Tensor) -> bool:
    return all(
        t.dtype in TYPES and t.device.type == "cpu" and t.numel() > 0 and _is_dense(t) for t in tensors
    )


def _is_dense(t: Tensor) -> bool:
    return t.is_contiguous() or (t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last))


def array_of(value: Tensor | Array) -> Array:
    """The same memory as an array; what this module computes for itself is one already."""
    return value.detach().numpy() if isinstance(value, Tensor) else value


def volume_of(x: Tensor) -> Array:
    """(N, C, M) of contiguous data, (N, M, C) of channels_last data."""
    N, C, H, W = x.shape
    if x.is_contiguous():
        return array_of(x).reshape(N, C, H * W)
    return array_of(x).transpose(0, 2, 3, 1).reshape(N, H * W, C)


def rows_of(x: Tensor) -> Array:
    """(N * C, M) of contiguous data, (N, M, C) of channels_last data."""
    if x.is_contiguous():
        return array_of(x).reshape(x.shape[0] * x.shape[1], -1)
    return volume_of(x)


def loops_for(x: Tensor) -> Any:
    return contiguous if x.is_contiguous() else channels_last


def units_of(x: Tensor) -> int:
    """What the loops split between threads: rows of contiguous data, samples of channels_last data."""
    return x.shape[0] * x.shape[1] if x.is_contiguous() else x.shape[0]


def depthwise_units_of(x: Tensor) -> int:
    """Likewise for a depthwise step: channels, or samples."""
    return x.shape[1] if x.is_contiguous() else x.shape[0]


def per_unit(values: Tensor | Array, x: Tensor) -> Array:
    """(N, C) -> (N * C,) where the loops run over rows."""
    array = array_of(values)
    return array.reshape(-1) if x.is_contiguous() else array


@lru_cache
def _constant(size: int, dtype: np.dtype[Any], value: float) -> Array:
    return np.full(size, value, dtype)


def parameter_of(parameter: Tensor | None, like: Array, neutral: float) -> Array:
    """A parameter as a flat array, or the constant that changes nothing, one for each channel of `like` (N, C)."""
    if parameter is None:
        return _constant(like.shape[1], like.dtype, neutral)
    return array_of(parameter).reshape(-1)


def rectification(m: Array, statistics: Statistics, R: Rectifiers) -> tuple[Any, ...]:
    """What the small loops go on with: m, mean, rstd, w_m, w_v, w_b, instance, weight and its step."""
    weight, _ = R.pointwise
    return (
        m,
        array_of(statistics.mean),
        array_of(statistics.rstd),
        parameter_of(R.w_m, m, 0.0),
        parameter_of(R.w_v, m, 0.0),
        parameter_of(R.w_b, m, math.inf),
        R.instance_scaling,
        parameter_of(weight, m, 1.0),
        m.shape[1] if R.per_sample else 0,
    )


def scale_and_shift(m: Array, statistics: Statistics, R: Rectifiers) -> tuple[Array, Array]:
    """(N, C) each, of weight * x_cs + bias = (x - m) * scale + shift."""
    scale, shift = np.empty_like(m), np.empty_like(m)
    _, bias = R.pointwise
    step = m.shape[1] if bias is not None and bias.dim() == 2 else 0
    affine = (parameter_of(bias, m, 0.0), step)
    small.scale_and_shift(*rectification(m, statistics, R), *affine, scale, shift)
    return scale, shift


def taps_of(weight: Tensor, x: Tensor) -> tuple[tuple[int, ...], Array]:
    """K as the loops want it, a tuple of that length; the weight (C, 1, K, K) as (C, K * K), or its transpose."""
    C, _, K, _ = weight.shape
    flat = array_of(weight).reshape(C, K * K)
    return tuple(range(K)), flat if x.is_contiguous() else np.ascontiguousarray(flat.T)
