"""The kernels for float32 and float64 on a CPU: each pass one compiled loop, as `plain` states it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ubn_sweep.nn.kernels import loops_channels_last, loops_contiguous, loops_small, plain
from ubn_sweep.nn.kernels.interface import (
    Coefficients,
    GateOptions,
    GateState,
    Gradients,
    Rectifiers,
    Statistics,
    Sums,
)
from ubn_sweep.nn.kernels.jit import spread

Array = NDArray[Any]
TYPES = {torch.float32: np.float32, torch.float64: np.float64}


def takes(*tensors: Tensor) -> bool:
    return all(
        t.dtype in TYPES and t.device.type == "cpu" and t.numel() > 0 and _is_dense(t) for t in tensors
    )


def _is_dense(t: Tensor) -> bool:
    return t.is_contiguous() or (t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last))


def _array(value: Tensor | Array) -> Array:
    """The same memory as an array; what this module computes for itself is one already."""
    return value.detach().numpy() if isinstance(value, Tensor) else value


def _volume(x: Tensor) -> Array:
    """(N, C, M) of contiguous data, (N, M, C) of channels_last data."""
    N, C, H, W = x.shape
    if x.is_contiguous():
        return _array(x).reshape(N, C, H * W)
    return _array(x).transpose(0, 2, 3, 1).reshape(N, H * W, C)


def _rows(x: Tensor) -> Array:
    """(N * C, M) of contiguous data, (N, M, C) of channels_last data."""
    if x.is_contiguous():
        return _array(x).reshape(x.shape[0] * x.shape[1], -1)
    return _volume(x)


def _loops(x: Tensor) -> Any:
    return loops_contiguous if x.is_contiguous() else loops_channels_last


def _units(x: Tensor) -> int:
    """What the loops split between threads: rows of contiguous data, samples of channels_last data."""
    return x.shape[0] * x.shape[1] if x.is_contiguous() else x.shape[0]


def _depthwise_units(x: Tensor) -> int:
    """Likewise for a depthwise step: channels, or samples."""
    return x.shape[1] if x.is_contiguous() else x.shape[0]


def _per_unit(values: Tensor | Array, x: Tensor) -> Array:
    """(N, C) -> (N * C,) where the loops run over rows."""
    array = _array(values)
    return array.reshape(-1) if x.is_contiguous() else array


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    m, v = x.new_empty(x.shape[:2]), x.new_empty(x.shape[:2])
    spread(_loops(x).moments, _units(x), x.numel(), _rows(x), _per_unit(m, x), _per_unit(v, x))
    return m, v


def _directions(x: Tensor, m: Tensor, v: Tensor) -> tuple[Array, float, int]:
    """u, |u|**2 and the number of samples that are not zero."""
    samples = _volume(x).reshape(x.shape[0], -1)
    inverse_norm, u = np.empty(len(samples), samples.dtype), np.empty(samples.shape[1], samples.dtype)
    pixels = float(x.shape[2] * x.shape[3])
    nonzero = loops_small.inverse_norms(m.numpy(), v.numpy(), pixels, inverse_norm)
    squares = spread(loops_contiguous.add_directions, u.size, x.numel(), samples, inverse_norm, u)
    return u, sum(squares), nonzero


def sum_of_directions(x: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    u, _, nonzero = _directions(x, m, v)
    return torch.from_numpy(u), x.new_tensor(float(nonzero))


def similarity(x: Tensor, m: Tensor, v: Tensor) -> Tensor:
    _, square, nonzero = _directions(x, m, v)
    N = x.shape[0]
    return x.new_tensor((square - nonzero) / (N * (N - 1)))


def settle(
    m: Tensor,
    v: Tensor,
    similarity: Tensor | None,
    center: Tensor | None,
    state: GateState,
    options: GateOptions,
    elements: float,
    decided: Tensor | None = None,
) -> tuple[Statistics, Tensor]:
    C = m.shape[1]
    mean, rstd = m.new_empty(C), m.new_empty(C)
    eps, momentum, threshold, similarity_momentum = options
    is_open = loops_small.settle(
        m.numpy(),
        v.numpy(),
        _small(center, m.numpy(), 0.0),
        None if similarity is None else float(similarity),
        loops_small.UNDECIDED if decided is None else int(decided),
        (
            float(eps),
            -1.0 if momentum is None else float(momentum),
            -math.inf if threshold is None else float(threshold),
            float(similarity_momentum),
        ),
        elements,
        state.running_mean.numpy(),
        state.running_var.numpy(),
        state.running_similarity.view(1).numpy(),
        state.num_batches_tracked.view(1).numpy(),
        mean.numpy(),
        rstd.numpy(),
    )
    flow = 1.0 if is_open else 0.0
    return Statistics(mean, rstd, flow, elements), torch.tensor(is_open, device=m.device)


@lru_cache
def _constant(size: int, dtype: np.dtype[Any], value: float) -> Array:
    return np.full(size, value, dtype)


def _small(parameter: Tensor | None, like: Array, neutral: float) -> Array:
    """A parameter as a flat array, or the constant that changes nothing, one for each channel of `like` (N, C)."""
    if parameter is None:
        return _constant(like.shape[1], like.dtype, neutral)
    return _array(parameter).reshape(-1)


def _rectification(m: Array, statistics: Statistics, R: Rectifiers) -> tuple[Any, ...]:
    """What the small loops begin with: m, mean, rstd, center, scale, scale_bias, instance, weight and its step."""
    weight, _ = R.pointwise
    return (
        m,
        _array(statistics.mean),
        _array(statistics.rstd),
        _small(R.center, m, 0.0),
        _small(R.scale, m, 0.0),
        _small(R.scale_bias, m, math.inf),
        R.instance_scaling,
        _small(weight, m, 1.0),
        m.shape[1] if R.per_sample else 0,
    )


def _scale_and_shift(m: Array, statistics: Statistics, R: Rectifiers) -> tuple[Array, Array]:
    """(N, C) each, of weight * x_cs + bias = (x - m) * scale + shift."""
    scale, shift = np.empty_like(m), np.empty_like(m)
    _, bias = R.pointwise
    step = m.shape[1] if bias is not None and bias.dim() == 2 else 0
    rectification = _rectification(m, statistics, R)
    loops_small.scale_and_shift(*rectification, _small(bias, m, 0.0), step, scale, shift)
    return scale, shift


def _kernel(weight: Tensor, x: Tensor) -> tuple[tuple[int, ...], Array]:
    """K as the loops want it, a tuple of that length; the weight (C, 1, K, K) as (C, K * K), or its transpose."""
    C, _, K, _ = weight.shape
    flat = _array(weight).reshape(C, K * K)
    return tuple(range(K)), flat if x.is_contiguous() else np.ascontiguousarray(flat.T)


def rectify(x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Tensor:
    y = torch.empty_like(x)
    means = _array(m)
    scale, shift = _scale_and_shift(means, statistics, R)
    if R.weight is None or not R.depthwise:
        rows = (_rows(x), *(_per_unit(values, x) for values in (means, scale, shift)), _rows(y))
        spread(_loops(x).scale_shift, _units(x), x.numel(), *rows)
        return y
    taps, weight = _kernel(R.weight, x)
    bias = _small(R.bias, means, 0.0)
    arrays = (_volume(x), x.shape[3], taps, means, scale, shift, weight, bias, _volume(y))
    work = weight.size // x.shape[1] * x.numel()
    spread(_loops(x).depthwise_rectify, _depthwise_units(x), work, *arrays)
    return y


def reduce(gy: Tensor, x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Sums:
    total, product = torch.empty_like(m), torch.empty_like(m)
    if R.depthwise:
        return _depthwise_reduce(gy, x, total, product, _array(m), statistics, R)
    arrays = (_rows(gy), _rows(x), *(_per_unit(values, x) for values in (m, total, product)))
    spread(_loops(x).row_sums, _units(x), x.numel(), *arrays)
    return Sums(gy, total, product, None, None)


def _depthwise_reduce(
    gy: Tensor, x: Tensor, total: Tensor, product: Tensor, m: Array, statistics: Statistics, R: Rectifiers
) -> Sums:
    assert R.weight is not None
    g = torch.empty_like(x)
    taps, weight = _kernel(R.weight, x)
    C, K = x.shape[1], len(taps)
    by_weight, by_bias = np.zeros((C, K * K)), np.zeros(C)
    scale, shift = _scale_and_shift(m, statistics, R)
    inputs = (_volume(gy), _volume(x), x.shape[3], taps, m, scale, shift, weight)
    outputs = (_volume(g), _array(total), _array(product), by_weight, by_bias)
    work = 2 * K * K * x.numel()
    parts = spread(_loops(x).depthwise_reduce, _depthwise_units(x), work, *inputs, *outputs)
    if not x.is_contiguous():
        by_weight[:] = sum(part[0] for part in parts).T
        by_bias[:] = sum(part[1] for part in parts)
    gradients = (by_weight.astype(m.dtype).reshape(R.weight.shape), by_bias.astype(m.dtype))
    return Sums(g, total, product, *map(torch.from_numpy, gradients))


def finalize(
    sums: Sums, m: Tensor, statistics: Statistics, R: Rectifiers, M: int
) -> tuple[Coefficients, Gradients]:
    if statistics.group is not None:
        return plain.finalize(sums, m, statistics, R, M)
    means = _array(m)
    C, dtype = means.shape[1], means.dtype
    by_center, by_scale, by_scale_bias, by_bias, x_scale = (np.empty(C, dtype) for _ in range(5))
    by_weight = np.empty(means.shape if R.per_sample else C, dtype)
    g_pivot, g_scale, shift = (np.empty_like(means) for _ in range(3))
    loops_small.finalize(
        _array(sums.total),
        _array(sums.product),
        *_rectification(means, statistics, R),
        float(M),
        float(statistics.flow),
        float(statistics.elements),
        by_center,
        by_scale,
        by_scale_bias,
        by_weight.reshape(-1),
        by_bias,
        g_pivot,
        g_scale,
        x_scale,
        shift,
    )

    def gradient(parameter: Tensor | None, by: Array) -> Tensor | None:
        return None if parameter is None else torch.from_numpy(by)

    weight, bias = R.pointwise
    gradients = Gradients(
        gradient(R.center, by_center),
        gradient(R.scale, by_scale),
        gradient(R.scale_bias, by_scale_bias),
        gradient(weight, by_weight),
        sums.total if bias is not None and bias.dim() == 2 else gradient(bias, by_bias),
    )
    return Coefficients(g_pivot, g_scale, x_scale, shift), gradients


def combine(sums: Sums, x: Tensor, m: Tensor, by: Coefficients, R: Rectifiers) -> Tensor:
    means, g_pivot, g_scale, shift = (
        _per_unit(values, x) for values in (m, by.g_pivot, by.g_scale, by.shift)
    )
    arrays = (_rows(sums.g), _rows(x), means, g_pivot, g_scale, _array(by.x_scale), shift)
    if R.depthwise:  # the gradient by x_cs is ours to overwrite, that by y is not
        spread(_loops(x).combine_in_place, _units(x), x.numel(), *arrays)
        return sums.g
    gx = torch.empty_like(x)
    spread(_loops(x).combine, _units(x), x.numel(), *arrays, _rows(gx))
    return gx
