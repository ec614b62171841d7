"""The forward pass on a CPU, as `plain` states it: each pass one compiled loop."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ubn_sweep.nn.kernels.cpu import contiguous, small
from ubn_sweep.nn.kernels.cpu.arrays import (
    Array,
    array_of,
    depthwise_units_of,
    loops_for,
    parameter_of,
    per_unit,
    rows_of,
    scale_and_shift,
    taps_of,
    units_of,
    volume_of,
)
from ubn_sweep.nn.kernels.cpu.jit import spread
from ubn_sweep.nn.kernels.interface import GateOptions, GateState, Rectifiers, Statistics


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    m, v = x.new_empty(x.shape[:2]), x.new_empty(x.shape[:2])
    spread(loops_for(x).moments, units_of(x), x.numel(), rows_of(x), per_unit(m, x), per_unit(v, x))
    return m, v


class _Directions(NamedTuple):
    """u, |u|**2 and the number of samples that are not zero."""

    u: Array
    square: float
    nonzero: int


def _directions(x: Tensor, m: Tensor, v: Tensor) -> _Directions:
    samples = volume_of(x).reshape(x.shape[0], -1)
    inverse_norm, u = np.empty(len(samples), samples.dtype), np.empty(samples.shape[1], samples.dtype)
    pixels = float(x.shape[2] * x.shape[3])
    nonzero = small.inverse_norms(m.numpy(), v.numpy(), pixels, inverse_norm)
    squares = spread(contiguous.add_directions, u.size, x.numel(), samples, inverse_norm, u)
    return _Directions(u, sum(squares), nonzero)


def sum_of_directions(x: Tensor, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    found = _directions(x, m, v)
    return torch.from_numpy(found.u), x.new_tensor(float(found.nonzero))


def similarity(x: Tensor, m: Tensor, v: Tensor) -> Tensor:
    found, N = _directions(x, m, v), x.shape[0]
    return x.new_tensor((found.square - found.nonzero) / (N * (N - 1)))


def settle(
    m: Tensor,
    v: Tensor,
    similarity: Tensor | None,
    w_m: Tensor | None,
    state: GateState,
    options: GateOptions,
    elements: float,
    decided: Tensor | None = None,
) -> tuple[Statistics, Tensor]:
    C = m.shape[1]
    mean, rstd = m.new_empty(C), m.new_empty(C)
    eps, momentum, threshold, similarity_momentum = options
    is_open = small.settle(
        m.numpy(),
        v.numpy(),
        parameter_of(w_m, m.numpy(), 0.0),
        None if similarity is None else float(similarity),
        small.UNDECIDED if decided is None else int(decided),
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


def rectify(x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Tensor:
    y = torch.empty_like(x)
    means = array_of(m)
    scale, shift = scale_and_shift(means, statistics, R)
    if R.weight is None or not R.depthwise:
        rows = (rows_of(x), *(per_unit(values, x) for values in (means, scale, shift)), rows_of(y))
        spread(loops_for(x).scale_shift, units_of(x), x.numel(), *rows)
        return y
    taps, weight = taps_of(R.weight, x)
    bias = parameter_of(R.bias, means, 0.0)
    arrays = (volume_of(x), x.shape[3], taps, means, scale, shift, weight, bias, volume_of(y))
    work = weight.size // x.shape[1] * x.numel()
    spread(loops_for(x).depthwise_rectify, depthwise_units_of(x), work, *arrays)
    return y
