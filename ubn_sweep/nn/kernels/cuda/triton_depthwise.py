# mypy: ignore-errors
# ruff: noqa: RUF005 - Triton knows no starred tuples
"""Triton kernels of a layer with a depthwise K x K step, forward and backward.

A program takes BX columns and BC channels, ROWS rows at a time. Each of the ROWS + K - 1 input rows is loaded once
per horizontal tap and serves all the output rows that it touches; neighbours' rows come from the caches.
"""

import triton
import triton.language as tl

from ubn_sweep.nn.kernels.cuda.triton_small import scale_and_shift


@triton.jit
def zeros(COUNT: tl.constexpr, BX: tl.constexpr, BC: tl.constexpr, ACC: tl.constexpr):
    """A tuple of COUNT tiles of zeros."""
    tiles = ()
    for _ in tl.static_range(COUNT):
        tiles = tiles + (tl.zeros([BX, BC], ACC),)
    return tiles


@triton.jit
def taps(weight, channels, inside, KERNEL: tl.constexpr, FLIP: tl.constexpr, ACC: tl.constexpr):
    """The K * K taps, each (1, BC); flipped they make the transposed convolution."""
    COUNT: tl.constexpr = KERNEL * KERNEL
    values = ()
    for i in tl.static_range(COUNT):
        at = COUNT - 1 - i if FLIP else i
        values = values + (tl.load(weight + channels * COUNT + at, mask=inside, other=0.0).to(ACC)[None, :],)
    return values


@triton.jit
def row(x, y, columns, channels, inside, C, H, W, CL: tl.constexpr, ACC: tl.constexpr):
    """(values, mask) (BX, BC) of row y; zero outside the image."""
    mask = ((columns >= 0) & (columns < W) & (y >= 0) & (y < H))[:, None] & inside[None, :]
    if CL:
        where = (y * W + columns)[:, None] * C + channels[None, :]
    else:
        where = channels[None, :] * (H * W) + (y * W + columns)[:, None]
    return tl.load(x + where, mask=mask, other=0.0).to(ACC), mask


@triton.jit
def convolved(
    x,
    w,
    offset,
    y0,
    columns,
    channels,
    inside,
    C,
    H,
    W,
    KERNEL: tl.constexpr,
    ROWS: tl.constexpr,
    CL: tl.constexpr,
    ACC: tl.constexpr,
):
    """ROWS rows from y0 of the convolution of (x - offset), which is zero outside the image; offset may be None."""
    PAD: tl.constexpr = KERNEL // 2
    found = zeros(ROWS, columns.shape[0], channels.shape[0], ACC)
    for q in tl.static_range(ROWS + KERNEL - 1):
        for dx in tl.static_range(KERNEL):
            value, mask = row(x, y0 + (q - PAD), columns + (dx - PAD), channels, inside, C, H, W, CL, ACC)
            if offset is not None:
                value = tl.where(mask, value - offset, 0.0)
            moved = ()
            for j in tl.static_range(ROWS):
                if q - j >= 0 and q - j < KERNEL:
                    moved = moved + (found[j] + w[(q - j) * KERNEL + dx] * value,)
                else:
                    moved = moved + (found[j],)
            found = moved
    return found


@triton.jit(do_not_specialize=["N", "H", "W", "run", "segments"])
def rectify_depthwise_kernel(
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
    H,
    W,
    run,
    segments,
    INSTANCE: tl.constexpr,
    KERNEL: tl.constexpr,
    ROWS: tl.constexpr,
    CL: tl.constexpr,
    BX: tl.constexpr,
    BC: tl.constexpr,
):
    """y = the convolution of x_cs, + bias, in `run` rows of one image.

    x_cs = (x - offset) * scale with offset = mean - w_m * m, so the scale goes behind the convolution.
    """
    ACC: tl.constexpr = m.dtype.element_ty
    n = tl.program_id(0).to(tl.int64)
    channels = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = channels < C
    scale, _, m_n = scale_and_shift(n, channels, inside, m, mean, rstd, w_m, w_v, w_b, C, INSTANCE)
    offset = tl.load(mean + channels, mask=inside, other=0.0).to(ACC)
    if w_m is not None:
        offset -= m_n * tl.load(w_m + channels, mask=inside, other=0.0).to(ACC)
    bias_c = tl.zeros([BC], ACC)
    if bias is not None:
        bias_c = tl.load(bias + channels, mask=inside, other=0.0).to(ACC)
    w = taps(weight, channels, inside, KERNEL, False, ACC)
    x += n * C * H * W
    y += n * C * H * W
    columns = (tl.program_id(2) % segments) * BX + tl.arange(0, BX)
    first = (tl.program_id(2) // segments) * run
    for y0 in range(first, min(first + run, H), ROWS):
        found = convolved(
            x, w, offset[None, :], y0, columns, channels, inside, C, H, W, KERNEL, ROWS, CL, ACC
        )
        for j in tl.static_range(ROWS):
            mask = ((columns < W) & (y0 + j < H))[:, None] & inside[None, :]
            if CL:
                where = ((y0 + j) * W + columns)[:, None] * C + channels[None, :]
            else:
                where = channels[None, :] * (H * W) + ((y0 + j) * W + columns)[:, None]
            tl.store(y + where, found[j] * scale[None, :] + bias_c[None, :], mask=mask)


@triton.jit(do_not_specialize=["N", "H", "W", "run", "segments"])
def combine_depthwise_kernel(
    gy,
    x,
    gx,
    m,
    g_mean,
    g_scale,
    x_scale,
    gx_mean,
    weight,
    N,
    C,
    H,
    W,
    run,
    segments,
    KERNEL: tl.constexpr,
    ROWS: tl.constexpr,
    CL: tl.constexpr,
    BX: tl.constexpr,
    BC: tl.constexpr,
):
    """gx = (g - g_mean) * g_scale + (x - m) * x_scale + gx_mean, g the transposed convolution of gy."""
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
    w = taps(weight, channels, inside, KERNEL, True, ACC)
    gy += n * C * H * W
    x += n * C * H * W
    gx += n * C * H * W
    columns = (tl.program_id(2) % segments) * BX + tl.arange(0, BX)
    first = (tl.program_id(2) // segments) * run
    for y0 in range(first, min(first + run, H), ROWS):
        found = convolved(gy, w, None, y0, columns, channels, inside, C, H, W, KERNEL, ROWS, CL, ACC)
        for j in tl.static_range(ROWS):
            value, mask = row(x, y0 + j, columns, channels, inside, C, H, W, CL, ACC)
            if CL:
                where = ((y0 + j) * W + columns)[:, None] * C + channels[None, :]
            else:
                where = channels[None, :] * (H * W) + ((y0 + j) * W + columns)[:, None]
            value = found[j] * g_scale_n[None, :] + value * x_scale_c[None, :] + constant[None, :]
            tl.store(gx + where, value, mask=mask)


@triton.jit(do_not_specialize=["N", "H", "W", "samples", "segments"])
def reduce_depthwise_kernel(
    gy,
    x,
    m,
    mean,
    rstd,
    w_m,
    w_v,
    w_b,
    weight,
    sums,
    partial,
    N,
    C,
    H,
    W,
    samples,
    segments,
    INSTANCE: tl.constexpr,
    KERNEL: tl.constexpr,
    ROWS: tl.constexpr,
    CL: tl.constexpr,
    BX: tl.constexpr,
    BC: tl.constexpr,
):
    """Of BX columns of `samples` images: sums (segments, 2, N, C), and partial (slots, K * K + 1, C).

    sums: S and D. partial: the gradients of the taps and, last, of the bias, kept in registers over the samples.
    g, by x_cs, and the taps' gradient use the same shifted gy.
    """
    ACC: tl.constexpr = m.dtype.element_ty
    PAD: tl.constexpr = KERNEL // 2
    COUNT: tl.constexpr = KERNEL * KERNEL
    segment = tl.program_id(0) % segments
    first = (tl.program_id(0) // segments) * samples
    channels = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = channels < C
    columns = segment * BX + tl.arange(0, BX)
    w = taps(weight, channels, inside, KERNEL, True, ACC)
    grad_taps = zeros(COUNT, BX, BC, ACC)
    grad_bias = tl.zeros([BX, BC], ACC)
    for sample in range(first, min(first + samples, N)):
        n = tl.full([], 0, tl.int64) + sample
        scale, shift, m_n = scale_and_shift(n, channels, inside, m, mean, rstd, w_m, w_v, w_b, C, INSTANCE)
        base = n * C * H * W
        S_tile = tl.zeros([BX, BC], ACC)
        D_tile = tl.zeros([BX, BC], ACC)
        for y0 in range(0, H, ROWS):
            values = ()
            valid = ()
            for j in tl.static_range(ROWS):
                value, mask = row(x + base, y0 + j, columns, channels, inside, C, H, W, CL, ACC)
                values = values + (tl.where(mask, value - m_n[None, :], 0.0),)
                valid = valid + (mask,)
            g = zeros(ROWS, BX, BC, ACC)
            for q in tl.static_range(ROWS + KERNEL - 1):
                for dx in tl.static_range(KERNEL):
                    gradient, _ = row(
                        gy + base, y0 + (q - PAD), columns + (dx - PAD), channels, inside, C, H, W, CL, ACC
                    )
                    if dx == PAD and q >= PAD and q < PAD + ROWS:
                        grad_bias += gradient
                    moved = ()
                    for j in tl.static_range(ROWS):
                        if q - j >= 0 and q - j < KERNEL:
                            moved = moved + (g[j] + w[(q - j) * KERNEL + dx] * gradient,)
                        else:
                            moved = moved + (g[j],)
                    g = moved
                    summed = ()
                    for tap in tl.static_range(COUNT):
                        if tap % KERNEL == dx and (q >= tap // KERNEL and q - tap // KERNEL < ROWS):
                            value = values[q - tap // KERNEL] * scale[None, :] + shift[None, :]
                            x_cs = tl.where(valid[q - tap // KERNEL], value, 0.0)
                            summed = summed + (grad_taps[tap] + x_cs * gradient,)
                        else:
                            summed = summed + (grad_taps[tap],)
                    grad_taps = summed
            for j in tl.static_range(ROWS):
                S_tile += tl.where(valid[j], g[j], 0.0)
                D_tile += values[j] * g[j]
        own = sums + (segment.to(tl.int64) * 2 * N + n) * C + channels
        tl.store(own, tl.sum(S_tile, 0), mask=inside)
        tl.store(own + (n * 0 + N) * C, tl.sum(D_tile, 0), mask=inside)
    slot = partial + tl.program_id(0).to(tl.int64) * (COUNT + 1) * C + channels
    for tap in tl.static_range(COUNT):
        at = COUNT - 1 - tap
        tl.store(slot + at * C, tl.sum(grad_taps[tap], 0), mask=inside)
    tl.store(slot + COUNT * C, tl.sum(grad_bias, 0), mask=inside)
