"""Launches the Triton kernels of the backward pass. Nothing waits for the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ubn_sweep.nn.kernels import plain
from ubn_sweep.nn.kernels.cuda.tensors import (
    both_contiguous,
    lies_channels_last,
    on_device_of,
    takes_bias,
    takes_layer,
    vectors_of,
)
from ubn_sweep.nn.kernels.cuda.tiles import pointwise_tile, row_tile, samples_per_program, small_tile
from ubn_sweep.nn.kernels.cuda.triton_backward import combine_kernel, reduce_kernel
from ubn_sweep.nn.kernels.cuda.triton_depthwise import combine_depthwise_kernel, reduce_depthwise_kernel
from ubn_sweep.nn.kernels.cuda.triton_finalize import finalize_kernel
from ubn_sweep.nn.kernels.cuda.triton_small import slots_kernel
from ubn_sweep.nn.kernels.interface import Coefficients, Gradients, Rectifiers, Statistics, Sums

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Float


def reduce(
    gy: Float[Tensor, "N C H W"],
    x: Float[Tensor, "N C H W"],
    m: Float[Tensor, "N C"],
    statistics: Statistics,
    R: Rectifiers,
) -> Sums:
    """S and D. One read of gy and x; g itself is gy, and `combine` convolves it again."""
    if not takes_layer(x, R):
        return plain.reduce(gy, x, m, statistics, R)
    m = m.contiguous()
    if R.weight is not None and R.depthwise:
        return _reduce_depthwise(gy, x, m, statistics, R, R.weight)
    N, C, H, W = x.shape
    CL = lies_channels_last(x)
    S, D = m.new_empty((2, N, C)).unbind(0)
    BP, BC, blocks = pointwise_tile(N, C, H * W, CL)
    with on_device_of(x):
        reduce_kernel[(N, blocks)](gy, x, m, S, D, N, C, H * W, CL=CL, BP=BP, BC=BC)
    return Sums(gy, S, D, None, None)


def _reduce_depthwise(
    gy: Tensor, x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers, weight: Tensor
) -> Sums:
    N, C, H, W = x.shape
    CL, kernel = lies_channels_last(x), weight.shape[-1]
    tile = row_tile(C, H, W, CL, kernel)
    samples = samples_per_program(N, tile.segments * tile.blocks)
    slots = -(-N // samples) * tile.segments
    sums = m.new_empty((tile.segments, 2, N, C))
    partial = m.new_empty((slots, kernel * kernel + 1, C))
    grad_weight, grad_bias = m.new_empty((C, 1, kernel, kernel)), m.new_empty(C)
    sizes = (N, C, H, W, samples, tile.segments)
    with on_device_of(x):
        reduce_depthwise_kernel[(slots, tile.blocks)](
            gy,
            x,
            m,
            *vectors_of(statistics, R),
            weight.contiguous(),
            sums,
            partial,
            *sizes,
            INSTANCE=R.instance_scaling,
            CL=CL,
            **tile.options,
        )
        slots_kernel[(-(-C // 64), kernel * kernel + 1)](
            partial, grad_weight, grad_bias, slots, C, TAPS=kernel * kernel, BS=32, BC=64
        )
        S, D = (sums[0] if tile.segments == 1 else sums.sum(0)).unbind(0)
    return Sums(gy, S, D, grad_weight, None if R.bias is None else grad_bias)


def finalize(
    sums: Sums, m: Float[Tensor, "N C"], statistics: Statistics, R: Rectifiers, M: int
) -> tuple[Coefficients, Gradients]:
    """From the sums over H, W to the parameters' gradients and what the gradient by x is made of. One launch."""
    flow, elements = statistics.flow, statistics.elements
    taken = not R.per_sample and takes_bias(R) and m.numel() > 0
    if not taken or statistics.group is not None or isinstance(elements, Tensor):
        return plain.finalize(sums, m, statistics, R, M)
    N, C = m.shape
    weight, bias = both_contiguous(R.pointwise)
    g_mean, g_scale, gx_mean = m.new_empty((3, N, C)).unbind(0)
    x_scale, *vectors = m.new_empty((6, C)).unbind(0)
    wanted = (R.w_m, R.w_v, R.w_b, weight, bias)
    gradients = Gradients(*(None if p is None else v for p, v in zip(wanted, vectors, strict=True)))
    BN, BC, programs = small_tile(N, C, 2048)
    with on_device_of(m):
        finalize_kernel[(programs,)](
            m.contiguous(),
            sums.S,
            sums.D,
            *vectors_of(statistics, R),
            weight,
            flow if isinstance(flow, Tensor) else None,
            g_mean,
            g_scale,
            x_scale,
            gx_mean,
            *gradients,
            N,
            C,
            M,
            elements,
            0.0 if isinstance(flow, Tensor) else flow,
            INSTANCE=R.instance_scaling,
            BN=BN,
            BC=BC,
            num_warps=8,
        )
    return Coefficients(g_mean, g_scale, x_scale, gx_mean), gradients


def combine(
    sums: Sums,
    x: Float[Tensor, "N C H W"],
    m: Float[Tensor, "N C"],
    coefficients: Coefficients,
    R: Rectifiers,
) -> Float[Tensor, "N C H W"]:
    """gx = (g - g_mean) * g_scale + (x - m) * x_scale + gx_mean. One read of gy and x, one write."""
    if not takes_layer(x, R):
        return plain.combine(sums, x, m, coefficients, R)
    N, C, H, W = x.shape
    CL, gx = lies_channels_last(x), torch.empty_like(x)
    g_mean, g_scale, x_scale, gx_mean = coefficients
    small = tuple(value.contiguous() for value in (m, g_mean, g_scale.expand_as(m), x_scale, gx_mean))
    with on_device_of(x):
        if R.weight is not None and R.depthwise:
            tile = row_tile(C, H, W, CL, R.weight.shape[-1])
            sizes = (N, C, H, W, tile.run, tile.segments)
            combine_depthwise_kernel[(N, tile.blocks, tile.segments * tile.runs)](
                sums.g, x, gx, *small, R.weight.contiguous(), *sizes, CL=CL, **tile.options
            )
        else:
            BP, BC, blocks = pointwise_tile(N, C, H * W, CL)
            run = 4 * BP
            combine_kernel[(N, blocks, -(-H * W // run))](
                sums.g, x, gx, *small, N, C, H * W, run, CL=CL, BP=BP, BC=BC
            )
    return gx
