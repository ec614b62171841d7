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
    m_n = tl.load(m + n * C + channels, mask=inside, other=0.0)[None, :]
    g += n * C * HW
    x += n * C * HW
    S_tile = tl.zeros([BP, BC], ACC)
    D_tile = tl.zeros([BP, BC], ACC)
    for start in range(0, HW, BP):
        pixels = start + tl.arange(0, BP)
        mask = (pixels < HW)[:, None] & inside[None, :]
        where = offsets(pixels, channels, C, HW, CL)
        gradient = tl.load(g + where, mask=mask, other=0.0).to(ACC)
        value = tl.load(x + where, mask=mask, other=0.0).to(ACC) - m_n
        S_tile += gradient
        D_tile += gradient * tl.where(mask, value, 0.0)
    tl.store(S + n * C + channels, tl.sum(S_tile, 0), mask=inside)
    tl.store(D + n * C + channels, tl.sum(D_tile, 0), mask=inside)


@triton.jit(do_not_specialize=["N", "run"])
def combine_kernel(
    g,
    x,
    gx,
    m,
    g_mean,
    g_scale,
    x_scale,
    gx_mean,
    N,
    C,
    HW,
    run,
    CL: tl.constexpr,
    BP: tl.constexpr,
    BC: tl.constexpr,
):
    """gx = (g - g_mean) * g_scale + (x - m) * x_scale + gx_mean of `run` pixels of one image."""
    ACC: tl.constexpr = m.dtype.element_ty
    n = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = channels < C
    own = n * C + channels
    x_scale_c = tl.load(x_scale + channels, mask=inside, other=0.0)
    g_scale_n = tl.load(g_scale + own, mask=inside, other=0.0)
    constant = tl.load(gx_mean + own, mask=inside, other=0.0)
    constant -= g_scale_n * tl.load(g_mean + own, mask=inside, other=0.0)
    constant -= x_scale_c * tl.load(m + own, mask=inside, other=0.0)
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
        value = gradient * g_scale_n[None, :] + value * x_scale_c[None, :] + constant[None, :]
        tl.store(gx + where, value, mask=mask)
