# mypy: ignore-errors
"""Triton kernels of a pointwise layer's backward pass: one reads, one reads and writes."""

import triton
import triton.language as tl

from ubn_sweep.nn.kernels.cuda.triton_forward import offsets


@triton.jit(do_not_specialize=["N"])
def reduce_kernel(g, x, m, S, D, N, C, HW, CL: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr):
    """S = sum_hw(g) and D = sum_hw(g * (x - m)) of one image's BC channels."""
    ACC: tl.constexpr = m.dtype.element_ty
    n = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = channels < C
    own_mean = tl.load(m + n * C + channels, mask=inside, other=0.0)[None, :]
    g += n * C * HW
    x += n * C * HW
    total = tl.zeros([BP, BC], ACC)
    product = tl.zeros([BP, BC], ACC)
    for start in range(0, HW, BP):
        pixels = start + tl.arange(0, BP)
        mask = (pixels < HW)[:, None] & inside[None, :]
        where = offsets(pixels, channels, C, HW, CL)
        gradient = tl.load(g + where, mask=mask, other=0.0).to(ACC)
        value = tl.load(x + where, mask=mask, other=0.0).to(ACC) - own_mean
        total += gradient
        product += gradient * tl.where(mask, value, 0.0)
    tl.store(S + n * C + channels, tl.sum(total, 0), mask=inside)
    tl.store(D + n * C + channels, tl.sum(product, 0), mask=inside)


@triton.jit(do_not_specialize=["N", "run"])
def combine_kernel(
    g,
    x,
    gx,
    m,
    g_pivot,
    g_scale,
    shift,
    x_scale,
    N,
    C,
    HW,
    run,
    CL: tl.constexpr,
    BP: tl.constexpr,
    BC: tl.constexpr,
):
    """gx = (g - g_pivot) * g_scale + (x - m) * x_scale + shift of `run` pixels of one image."""
    ACC: tl.constexpr = m.dtype.element_ty
    n = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = channels < C
    own = n * C + channels
    slope = tl.load(x_scale + channels, mask=inside, other=0.0)
    factor = tl.load(g_scale + own, mask=inside, other=0.0)
    constant = tl.load(shift + own, mask=inside, other=0.0)
    constant -= factor * tl.load(g_pivot + own, mask=inside, other=0.0)
    constant -= slope * tl.load(m + own, mask=inside, other=0.0)
    g += n * C * HW
    x += n * C * HW
    gx += n * C * HW
    first = tl.program_id(2) * run
    for start in range(first, min(first + run, HW), BP):
        pixels = start + tl.arange(0, BP)
        mask = (pixels < HW)[:, None] & inside[None, :]
        where = offsets(pixels, channels, C, HW, CL)
        gradient = tl.load(g + where, mask=mask, other=0.0).to(ACC)
        value = tl.load(x + where, mask=mask, other=0.0).to(ACC)
        tl.store(
            gx + where, gradient * factor[None, :] + value * slope[None, :] + constant[None, :], mask=mask
        )
