"""Launches the Triton kernels of the forward pass. Nothing waits for the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ubn_sweep.nn.kernels import plain
from ubn_sweep.nn.kernels.cuda.tensors import (
    STATISTICS,
    both_contiguous,
    is_dense,
    lies_channels_last,
    on_device_of,
    takes_layer,
    vectors_of,
)
from ubn_sweep.nn.kernels.cuda.tiles import directions_tile, pointwise_tile, row_tile, small_tile
from ubn_sweep.nn.kernels.cuda.triton_depthwise import rectify_depthwise_kernel
from ubn_sweep.nn.kernels.cuda.triton_forward import directions_kernel, moments_kernel, rectify_kernel
from ubn_sweep.nn.kernels.cuda.triton_small import (
    decide_kernel,
    norms_kernel,
    settle_kernel,
    similarity_kernel,
)
from ubn_sweep.nn.kernels.interface import GateOptions, GateState, Rectifiers, Statistics

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Bool, Float


def moments(x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    """m = mean_hw(x) and v = mean_hw((x - m)**2). One read of x."""
    if x.numel() == 0 or not is_dense(x):
        return plain.moments(x)
    N, C, H, W = x.shape
    CL = lies_channels_last(x)
    m = torch.empty((N, C), dtype=plain.accumulation_dtype(x), device=x.device)
    v = torch.empty_like(m)
    BP, BC, blocks = pointwise_tile(N, C, H * W, CL)
    with on_device_of(x):
        moments_kernel[(N, blocks)](x, m, v, N, C, H * W, CL=CL, BP=BP, BC=BC)
    return m, v


def _inverse_norms(x: Tensor, m: Tensor, v: Tensor) -> Tensor:
    N, C = m.shape
    inverse_norm = m.new_empty(N)
    norms_kernel[(N,)](m, v, inverse_norm, N, C, x.shape[2] * x.shape[3], BC=1024)
    return inverse_norm


def _directions(x: Tensor, inverse_norm: Tensor, whole: bool) -> Tensor:
    """u, or the parts of |u|**2. One read of x."""
    N, CHW = x.shape[0], x[0].numel()
    BN, BP, programs = directions_tile(N, CHW)
    out = inverse_norm.new_empty(CHW if whole else programs)
    directions_kernel[(programs,)](x, inverse_norm, out, N, CHW, WHOLE=whole, BN=BN, BP=BP)
    return out


def sum_of_directions(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], v: Float[Tensor, "N C"]
) -> tuple[Float[Tensor, " CHW"], Float[Tensor, ""]]:
    """u = sum_i x_i / |x_i| and the number of samples that are not zero, in the order of memory."""
    if x.numel() == 0 or not is_dense(x):
        return plain.sum_of_directions(x, m, v)
    with on_device_of(x):
        inverse_norm = _inverse_norms(x, m, v)
        return _directions(x, inverse_norm, True), inverse_norm.count_nonzero().to(m.dtype)


def similarity(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], v: Float[Tensor, "N C"]
) -> Float[Tensor, ""]:
    """c(x), without u ever in memory. One read of x."""
    if x.numel() == 0 or not is_dense(x):
        return plain.similarity(x, m, v)
    found = m.new_empty(())
    with on_device_of(x):
        inverse_norm = _inverse_norms(x, m, v)
        parts = _directions(x, inverse_norm, False)
        similarity_kernel[(1,)](parts, inverse_norm, found, x.shape[0], parts.shape[0], B=1024)
    return found


def settle(
    m: Float[Tensor, "N C"],
    v: Float[Tensor, "N C"],
    similarity: Float[Tensor, ""] | None,
    w_m: Float[Tensor, " C"] | None,
    state: GateState,
    options: GateOptions,
    elements: float,
    decided: Bool[Tensor, ""] | None = None,
) -> tuple[Statistics, Bool[Tensor, ""]]:
    """The decision in one program, then the statistics; the state moves in place."""
    gated = options.threshold is not None
    buffers = (state.running_mean, state.running_var, state.running_similarity)
    known = all(buffer.dtype in STATISTICS and buffer.is_contiguous() for buffer in buffers)
    if not known or m.numel() == 0 or decided is not None or (gated and similarity is None):
        return plain.settle(m, v, similarity, w_m, state, options, elements, decided)
    N, C = m.shape
    flags, (mean, rstd) = m.new_empty(3), m.new_empty((2, C)).unbind(0)
    is_open = torch.empty((), dtype=torch.bool, device=m.device)
    BN, BC, programs = small_tile(N, C, 4096)
    with on_device_of(m):
        decide_kernel[(1,)](
            similarity if gated else None,
            state.running_similarity,
            state.num_batches_tracked,
            flags,
            is_open,
            options.threshold or 0.0,
            options.similarity_momentum,
            options.momentum or 0.0,
            GATED=gated,
            CUMULATIVE=options.momentum is None,
            num_warps=1,
        )
        settle_kernel[(programs,)](
            m,
            v,
            w_m,
            flags,
            state.running_mean,
            state.running_var,
            mean,
            rstd,
            N,
            C,
            options.eps,
            elements / (elements - 1),
            BN=BN,
            BC=BC,
            num_warps=8,
        )
    return Statistics(mean, rstd, flags[0] if gated else 1.0, elements), is_open


def rectify(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], statistics: Statistics, R: Rectifiers
) -> Float[Tensor, "N C H W"]:
    """y = affine(r * (rstd * (x - m) + z)), in the type and layout of x. One read, one write."""
    if not takes_layer(x, R):
        return plain.rectify(x, m, statistics, R)
    N, C, H, W = x.shape
    CL, y, m = lies_channels_last(x), torch.empty_like(x), m.contiguous()
    weight, bias = both_contiguous((R.weight, R.bias))
    vectors = vectors_of(statistics, R)
    with on_device_of(x):
        if R.depthwise:
            tile = row_tile(C, H, W, CL, R.weight.shape[-1])  # type: ignore[union-attr]
            sizes = (N, C, H, W, tile.run, tile.segments)
            rectify_depthwise_kernel[(N, tile.blocks, tile.segments * tile.runs)](
                x, y, m, *vectors, weight, bias, *sizes, INSTANCE=R.instance_scaling, CL=CL, **tile.options
            )
        else:
            BP, BC, blocks = pointwise_tile(N, C, H * W, CL)
            run = 4 * BP
            rectify_kernel[(N, blocks, -(-H * W // run))](
                x,
                y,
                m,
                *vectors,
                weight,
                bias,
                N,
                C,
                H * W,
                run,
                INSTANCE=R.instance_scaling,
                PER_SAMPLE=R.per_sample,
                CL=CL,
                BP=BP,
                BC=BC,
            )
    return y
