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
    S, D = torch.empty_like(m), torch.empty_like(m)
    if R.depthwise:
        return _depthwise_reduce(gy, x, S, D, array_of(m), statistics, R)
    arrays = (rows_of(gy), rows_of(x), *(per_unit(values, x) for values in (m, S, D)))
    spread(loops_for(x).row_sums, units_of(x), x.numel(), *arrays)
    return Sums(gy, S, D, None, None)


def _depthwise_reduce(
    gy: Tensor, x: Tensor, S: Tensor, D: Tensor, m: Array, statistics: Statistics, R: Rectifiers
) -> Sums:
    assert R.weight is not None
    g = torch.empty_like(x)
    taps, weight = taps_of(R.weight, x)
    C, K = x.shape[1], len(taps)
    grad_weight, grad_bias = np.zeros((C, K * K)), np.zeros(C)
    scale, shift = scale_and_shift(m, statistics, R)
    inputs = (volume_of(gy), volume_of(x), x.shape[3], taps, m, scale, shift, weight)
    outputs = (volume_of(g), array_of(S), array_of(D), grad_weight, grad_bias)
    work = 2 * K * K * x.numel()
    parts = spread(loops_for(x).depthwise_reduce, depthwise_units_of(x), work, *inputs, *outputs)
    if not x.is_contiguous():
        for own_grad_weight, own_grad_bias in parts:
            grad_weight += own_grad_weight.T
            grad_bias += own_grad_bias
    gradients = (grad_weight.astype(m.dtype).reshape(R.weight.shape), grad_bias.astype(m.dtype))
    return Sums(g, S, D, *map(torch.from_numpy, gradients))


def finalize(
    sums: Sums, m: Tensor, statistics: Statistics, R: Rectifiers, M: int
) -> tuple[Coefficients, Gradients]:
    if statistics.group is not None:
        return plain.finalize(sums, m, statistics, R, M)
    means = array_of(m)
    C, dtype = means.shape[1], means.dtype
    grad_w_m, grad_w_v, grad_w_b, grad_bias, x_scale = (np.empty(C, dtype) for _ in range(5))
    grad_weight = np.empty(means.shape if R.per_sample else C, dtype)
    g_mean, g_scale, gx_mean = (np.empty_like(means) for _ in range(3))
    small.finalize(
        array_of(sums.S),
        array_of(sums.D),
        *rectification(means, statistics, R),
        float(M),
        float(statistics.flow),
        float(statistics.elements),
        grad_w_m,
        grad_w_v,
        grad_w_b,
        grad_weight.reshape(-1),
        grad_bias,
        g_mean,
        g_scale,
        x_scale,
        gx_mean,
    )

    def gradient(parameter: Tensor | None, found: Array) -> Tensor | None:
        return None if parameter is None else torch.from_numpy(found)

    weight, bias = R.pointwise
    gradients = Gradients(
        gradient(R.w_m, grad_w_m),
        gradient(R.w_v, grad_w_v),
        gradient(R.w_b, grad_w_b),
        gradient(weight, grad_weight),
        sums.S if bias is not None and bias.dim() == 2 else gradient(bias, grad_bias),
    )
    return Coefficients(g_mean, g_scale, x_scale, gx_mean), gradients


def combine(sums: Sums, x: Tensor, m: Tensor, coefficients: Coefficients, R: Rectifiers) -> Tensor:
    g_mean, g_scale, x_scale, gx_mean = coefficients
    per_sample = (per_unit(values, x) for values in (m, g_mean, g_scale))
    arrays = (rows_of(sums.g), rows_of(x), *per_sample, array_of(x_scale), per_unit(gx_mean, x))
    if R.depthwise:  # the gradient by x_cs is ours to overwrite, that by y is not
        spread(loops_for(x).combine_in_place, units_of(x), x.numel(), *arrays)
        return sums.g
    gx = torch.empty_like(x)
    spread(loops_for(x).combine, units_of(x), x.numel(), *arrays, rows_of(gx))
    return gx
