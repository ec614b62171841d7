# mypy: ignore-errors
"""Triton kernels of the forward pass: the moments, the directions' sum, and a pointwise layer's output.

An image is H*W pixels times C channels; CL: channels lie together in memory (channels_last), else pixels do.
Everything is computed in the type of m, ACC.
"""

import triton
import triton.language as tl

from ubn_sweep.nn.kernels.cuda.triton_small import number, scale_and_shift


@triton.jit
def offsets(pixels, channels, C, HW, CL: tl.constexpr):
    """(P, C) offsets inside one image."""
    return pixels[:, None] * C + channels[None, :] if CL else channels[None, :] * HW + pixels[:, None]


@triton.jit(do_not_specialize=["N"])
def moments_kernel(x, m, v, N, C, HW, CL: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr):
    """m, v of one image's BC channels in one read: Welford's update per tile position, then Chan's sum.

    Nothing cancels where the mean is far above the spread, and the loop needs no exchange between threads.
    """
    ACC: tl.constexpr = m.dtype.element_ty
    n = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = channels < C
    x += n * C * HW
    m_tile = tl.zeros([BP, BC], ACC)
    spread = tl.zeros([BP, BC], ACC)
    for start in range(0, HW, BP):
        pixels = start + tl.arange(0, BP)
        mask = (pixels < HW)[:, None] & inside[None, :]
        value = tl.load(x + offsets(pixels, channels, C, HW, CL), mask=mask, other=0.0).to(ACC)
        delta = tl.where(mask, value - m_tile, 0.0)
        m_tile += delta / (start // BP + 1)
        spread += delta * tl.where(mask, value - m_tile, 0.0)
    count = tl.cdiv(HW - tl.arange(0, BP), BP)
    count = tl.where(tl.arange(0, BP) < HW, count, 0).to(ACC)[:, None]
    m_n = tl.sum(count * m_tile, 0) / number(HW, ACC)
    apart = m_tile - m_n[None, :]
    spread = tl.sum(spread + count * apart * apart, 0) / number(HW, ACC)
    tl.store(m + n * C + channels, m_n, mask=inside)
    tl.store(v + n * C + channels, spread, mask=inside)


@triton.jit(do_not_specialize=["N"])
def directions_kernel(x, inverse_norm, out, N, CHW, WHOLE: tl.constexpr, BN: tl.constexpr, BP: tl.constexpr):
    """u = sum_n x_n * inverse_norm_n for BP positions of an image: u itself (WHOLE), or its sum of squares."""
    ACC: tl.constexpr = inverse_norm.dtype.element_ty
    where = tl.program_id(0) * BP + tl.arange(0, BP)
    inside = where < CHW
    u = tl.zeros([BN, BP], ACC)
    for start in range(0, N, BN):
        n = start + tl.arange(0, BN)
        mask = (n < N)[:, None] & inside[None, :]
        address = x + n.to(tl.int64)[:, None] * CHW + where[None, :]
        factor = tl.load(inverse_norm + n, mask=n < N, other=0.0)
        u += tl.load(address, mask=mask, other=0.0).to(ACC) * factor[:, None]
    u = tl.sum(u, 0)
    if WHOLE:
        tl.store(out + where, u, mask=inside)
    else:
        tl.store(out + tl.program_id(0), tl.sum(u * u, 0))


@triton.jit(do_not_specialize=["N", "run"])
def rectify_kernel(
    x,
    y,
    m,
    mean,
    rstd,
    w_m,
    w_v,
    w_b,
    weight,
    bias,
    N,
    C,
    HW,
    run,
    INSTANCE: tl.constexpr,
    PER_SAMPLE: tl.constexpr,
    CL: tl.constexpr,
    BP: tl.constexpr,
    BC: tl.constexpr,
):
    """y = (x - m) * scale + shift of `run` pixels of one image, with scale and shift (n, c) from the moments."""
    ACC: tl.constexpr = m.dtype.element_ty
    n = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = channels < C
    scale, shift, m_n = scale_and_shift(n, channels, inside, m, mean, rstd, w_m, w_v, w_b, C, INSTANCE)
    own = n * C if PER_SAMPLE else 0
    if weight is not None:
        weight_n = tl.load(weight + own + channels, mask=inside, other=0.0).to(ACC)
        scale *= weight_n
        shift *= weight_n
    constant = shift - m_n * scale
    if bias is not None:
        constant += tl.load(bias + own + channels, mask=inside, other=0.0).to(ACC)
    x += n * C * HW
    y += n * C * HW
    first = tl.program_id(2) * run
    for start in range(first, min(first + run, HW), BP):
        pixels = start + tl.arange(0, BP)
        mask = (pixels < HW)[:, None] & inside[None, :]
        where = offsets(pixels, channels, C, HW, CL)
        value = tl.load(x + where, mask=mask, other=0.0).to(ACC)
        tl.store(y + where, value * scale[None, :] + constant[None, :], mask=mask)
