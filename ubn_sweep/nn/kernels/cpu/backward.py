"""The backward pass on a CPU, as `plain` states it: each pass one compiled loop."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ubn_sweep.nn.kernels import plain
from ubn_sweep.nn.kernels.cpu import small
from ubn_sweep.nn.kernels.cpu.arrays import (
    Array,
    array_of,
    depthwise_units_of,
    loops_for,
    per_unit,
    rectification,
    rows_of,
    scale_and_shift,
    taps_of,
    units_of,
    volume_of,
)
from ubn_sweep.nn.kernels.cpu.jit import spread
from ubn_sweep.nn.kernels.interface import Coefficients, Gradients, Rectifiers, Statistics, Sums


def reduce(gy: Tensor, x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Sums:
    total, product = torch.empty_like(m), torch.empty_like(m)
    if R.depthwise:
        return _depthwise_reduce(gy, x, total, product, array_of(m), statistics, R)
    arrays = (rows_of(gy), rows_of(x), *(per_unit(values, x) for values in (m, total, product)))
    spread(loops_for(x).row_sums, units_of(x), x.numel(), *arrays)
    return Sums(gy, total, product, None, None)


def _depthwise_reduce(
    gy: Tensor, x: Tensor, total: Tensor, product: Tensor, m: Array, statistics: Statistics, R: Rectifiers
) -> Sums:
    assert R.weight is not None
    g = torch.empty_like(x)
    taps, weight = taps_of(R.weight, x)
    C, K = x.shape[1], len(taps)
    by_weight, by_bias = np.zeros((C, K * K)), np.zeros(C)
    scale, shift = scale_and_shift(m, statistics, R)
    inputs = (volume_of(gy), volume_of(x), x.shape[3], taps, m, scale, shift, weight)
    outputs = (volume_of(g), array_of(total), array_of(product), by_weight, by_bias)
    work = 2 * K * K * x.numel()
    parts = spread(loops_for(x).depthwise_reduce, depthwise_units_of(x), work, *inputs, *outputs)
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
    means = array_of(m)
    C, dtype = means.shape[1], means.dtype
    by_center, by_scale, by_scale_bias, by_bias, x_scale = (np.empty(C, dtype) for _ in range(5))
    by_weight = np.empty(means.shape if R.per_sample else C, dtype)
    g_pivot, g_scale, shift = (np.empty_like(means) for _ in range(3))
    small.finalize(
        array_of(sums.total),
        array_of(sums.product),
        *rectification(means, statistics, R),
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
    means, g_pivot, g_scale, shift = (per_unit(values, x) for values in (m, by.g_pivot, by.g_scale, by.shift))
    arrays = (rows_of(sums.g), rows_of(x), means, g_pivot, g_scale, array_of(by.x_scale), shift)
    if R.depthwise:  # the gradient by x_cs is ours to overwrite, that by y is not
        spread(loops_for(x).combine_in_place, units_of(x), x.numel(), *arrays)
        return sums.g
    gx = torch.empty_like(x)
    spread(loops_for(x).combine, units_of(x), x.numel(), *arrays, rows_of(gx))
    return gx
