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


def _volume(x: Tensor) -> Array:
    """(N, C, M) of contiguous data, (N, M, C) of channels_last data."""
    x = x.detach()
    return (x.flatten(2) if x.is_contiguous() else x.permute(0, 2, 3, 1).flatten(1, 2)).numpy()


def _rows(x: Tensor) -> Array:
    """(N * C, M) of contiguous data, (N, M, C) of channels_last data."""
    volume = _volume(x)
    return volume.reshape(-1, volume.shape[2]) if x.is_contiguous() else volume


def _loops(x: Tensor) -> Any:
    return loops_contiguous if x.is_contiguous() else loops_channels_last


def _units(x: Tensor) -> int:
    """What the loops split between threads: rows of contiguous data, samples of channels_last data."""
    return x.shape[0] * x.shape[1] if x.is_contiguous() else x.shape[0]


def _depthwise_units(x: Tensor) -> int:
    """Likewise for a depthwise step: channels, or samples."""
    return x.shape[1] if x.is_contiguous() else x.shape[0]


def _per_unit(values: Tensor, x: Tensor) -> Array:
    """(N, C) -> (N * C,) where the loops run over rows."""
    return values.numpy().reshape(-1) if x.is_contiguous() else values.numpy()


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    m, v = x.new_empty(x.shape[:2]), x.new_empty(x.shape[:2])
    spread(_loops(x).moments, _units(x), x.numel(), _rows(x), _per_unit(m, x), _per_unit(v, x))
    return m, v


def _directions(x: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, float, int]:
    """u, |u|**2 and the number of samples that are not zero."""
    N = x.shape[0]
    inverse_norm, u = x.new_empty(N), x.new_empty(x.numel() // N)
    nonzero = loops_small.inverse_norms(
        m.numpy(), v.numpy(), float(x.shape[2] * x.shape[3]), inverse_norm.numpy()
    )
    arguments = (_volume(x).reshape(N, -1), inverse_norm.numpy(), u.numpy())
    squares = spread(loops_contiguous.add_directions, u.numel(), x.numel(), *arguments)
    return u, sum(squares), nonzero


def sum_of_directions(x: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    u, _, nonzero = _directions(x, m, v)
    return u, x.new_tensor(float(nonzero))


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
        _small(center, C, m.dtype, 0.0),
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
def _constant(size: int, dtype: torch.dtype, value: float) -> Array:
    return np.full(size, value, TYPES[dtype])


def _small(parameter: Tensor | None, C: int, dtype: torch.dtype, neutral: float) -> Array:
    """A parameter as a flat array, or the constant that changes nothing."""
    if parameter is None:
        return _constant(C, dtype, neutral)
    return parameter.detach().contiguous().numpy().reshape(-1)


def _ratios(m: Tensor, statistics: Statistics, R: Rectifiers) -> tuple[Array, Array]:
    """z and r, (N, C)."""
    C = m.shape[1]
    z, r = np.empty(m.shape, TYPES[m.dtype]), np.empty(m.shape, TYPES[m.dtype])
    loops_small.ratios(
        m.numpy(),
        statistics.mean.numpy(),
        statistics.rstd.numpy(),
        _small(R.center, C, m.dtype, 0.0),
        _small(R.scale, C, m.dtype, 0.0),
        _small(R.scale_bias, C, m.dtype, math.inf),
        R.instance_scaling,
        z,
        r,
    )
    return z, r


def _affine(R: Rectifiers, C: int, dtype: torch.dtype) -> tuple[Array, int, Array, int]:
    """weight, its step, bias, its step of the pointwise step."""
    weight, bias = R.pointwise
    steps = [C if p is not None and p.dim() == 2 else 0 for p in (weight, bias)]
    return _small(weight, C, dtype, 1.0), steps[0], _small(bias, C, dtype, 0.0), steps[1]


def _scale_and_shift(m: Tensor, statistics: Statistics, R: Rectifiers) -> tuple[Array, Array]:
    """(N, C) each, of weight * x_cs + bias = (x - m) * scale + shift."""
    shift, scale = _ratios(m, statistics, R)
    loops_small.coefficients(statistics.rstd.numpy(), *_affine(R, m.shape[1], m.dtype), shift, scale)
    return scale, shift


def _kernel(weight: Tensor, x: Tensor) -> tuple[tuple[int, ...], Array]:
    """K as the loops want it, a tuple of that length; the weight (C, 1, K, K) as (C, K * K), or its transpose."""
    C, _, K, _ = weight.shape
    flat = weight.detach().reshape(C, K * K)
    return tuple(range(K)), (flat if x.is_contiguous() else flat.t()).contiguous().numpy()


def rectify(x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Tensor:
    y = torch.empty_like(x)
    scale, shift = _scale_and_shift(m, statistics, R)
    if R.weight is None or not R.depthwise:
        if x.is_contiguous():
            scale, shift = scale.reshape(-1), shift.reshape(-1)
        rows = (_rows(x), _per_unit(m, x), scale, shift, _rows(y))
        spread(_loops(x).scale_shift, _units(x), x.numel(), *rows)
        return y
    taps, weight = _kernel(R.weight, x)
    K = len(taps)
    bias = _small(R.bias, x.shape[1], m.dtype, 0.0)
    arrays = (_volume(x), x.shape[3], taps, m.numpy(), scale, shift, weight, bias, _volume(y))
    spread(_loops(x).depthwise_rectify, _depthwise_units(x), K * K * x.numel(), *arrays)
    return y


def reduce(gy: Tensor, x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Sums:
    total, product = torch.empty_like(m), torch.empty_like(m)
    if R.weight is None or not R.depthwise:
        arrays = (_rows(gy), _rows(x), _per_unit(m, x), _per_unit(total, x), _per_unit(product, x))
        spread(_loops(x).row_sums, _units(x), x.numel(), *arrays)
        return Sums(gy, total, product, None, None)
    C, g = x.shape[1], torch.empty_like(x)
    taps, weight = _kernel(R.weight, x)
    K = len(taps)
    by_weight, by_bias = np.zeros((C, K * K)), np.zeros(C)
    inputs = (
        _volume(gy),
        _volume(x),
        x.shape[3],
        taps,
        m.numpy(),
        *_scale_and_shift(m, statistics, R),
        weight,
    )
    outputs = (_volume(g), total.numpy(), product.numpy(), by_weight, by_bias)
    parts = spread(_loops(x).depthwise_reduce, _depthwise_units(x), 2 * K * K * x.numel(), *inputs, *outputs)
    if not x.is_contiguous():
        by_weight[:] = sum(part[0] for part in parts).T
        by_bias[:] = sum(part[1] for part in parts)
    gradients = (
        torch.from_numpy(by_weight).view(C, 1, K, K).to(m.dtype),
        torch.from_numpy(by_bias).to(m.dtype),
    )
    return Sums(g, total, product, *gradients)


def finalize(
    sums: Sums, m: Tensor, statistics: Statistics, R: Rectifiers, M: int
) -> tuple[Coefficients, Gradients]:
    if statistics.group is not None:
        return plain.finalize(sums, m, statistics, R, M)
    C = m.shape[1]
    z, r = _ratios(m, statistics, R)
    weight, step, _, bias_step = _affine(R, C, m.dtype)
    by_center, by_scale, by_scale_bias, by_bias, x_scale = (m.new_empty(C) for _ in range(5))
    by_weight = torch.empty_like(m) if step else m.new_empty(C)
    g_pivot, g_scale, shift = (torch.empty_like(m) for _ in range(3))
    loops_small.finalize(
        sums.total.numpy(),
        sums.product.numpy(),
        m.numpy(),
        z,
        r,
        statistics.rstd.numpy(),
        _small(R.center, C, m.dtype, 0.0),
        _small(R.scale, C, m.dtype, 0.0),
        weight,
        step,
        R.instance_scaling,
        float(M),
        float(statistics.flow),
        float(statistics.elements),
        by_center.numpy(),
        by_scale.numpy(),
        by_scale_bias.numpy(),
        by_weight.view(-1).numpy(),
        by_bias.numpy(),
        g_pivot.numpy(),
        g_scale.numpy(),
        x_scale.numpy(),
        shift.numpy(),
    )
    gradients = Gradients(
        None if R.center is None else by_center,
        None if R.scale is None else by_scale,
        None if R.scale_bias is None else by_scale_bias,
        None if R.pointwise[0] is None else by_weight,
        None if R.pointwise[1] is None else (sums.total if bias_step else by_bias),
    )
    return Coefficients(g_pivot, g_scale, x_scale, shift), gradients


def combine(sums: Sums, x: Tensor, m: Tensor, by: Coefficients, R: Rectifiers) -> Tensor:
    loops = _loops(x)
    g_pivot, g_scale, shift = (_per_unit(values, x) for values in (by.g_pivot, by.g_scale, by.shift))
    arrays = (_rows(sums.g), _rows(x), _per_unit(m, x), g_pivot, g_scale, by.x_scale.numpy(), shift)
    if R.depthwise:  # the gradient by x_cs is ours to overwrite, that by y is not
        spread(loops.combine_in_place, _units(x), x.numel(), *arrays)
        return sums.g
    gx = torch.empty_like(x)
    spread(loops.combine, _units(x), x.numel(), *arrays, _rows(gx))
    return gx
