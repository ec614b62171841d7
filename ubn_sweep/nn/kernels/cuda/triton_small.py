# mypy: ignore-errors
# ruff: noqa: F821
"""Triton kernels that work on (N, C) and smaller. Names and formulas: docs/layer.md, and plain.py beside this.

Numbers of the host are "fp64": Triton would round them to float32, which float64 layers would show.
"""

import triton
import triton.language as tl


@triton.jit
def number(value, ACC: tl.constexpr):
    """A number of the host in the type ACC; it may be a compile-time constant, as an int of 1 is."""
    return (tl.zeros([], ACC) + value).to(ACC)


@triton.jit
def scaling_factor(m_n, z, w_v, w_b, channels, inside, INSTANCE: tl.constexpr, ACC: tl.constexpr):
    """r = sigmoid(w_v * k + w_b), k = m_n or z (..., C)."""
    w_v_c = tl.load(w_v + channels, mask=inside, other=0.0).to(ACC)
    w_b_c = tl.load(w_b + channels, mask=inside, other=0.0).to(ACC)
    k = m_n if INSTANCE else z
    return 1.0 / (1.0 + tl.exp(-(k * w_v_c + w_b_c)))


@triton.jit
def scale_and_shift(n, channels, inside, m, mean, rstd, w_m, w_v, w_b, C, INSTANCE: tl.constexpr):
    """scale, shift and m of one image (C,), without an affine step: x_cs = (x - m) * scale + shift."""
    ACC: tl.constexpr = m.dtype.element_ty
    m_n = tl.load(m + n * C + channels, mask=inside, other=0.0)
    rstd_c = tl.load(rstd + channels, mask=inside, other=0.0).to(ACC)
    z = m_n - tl.load(mean + channels, mask=inside, other=0.0).to(ACC)
    if w_m is not None:
        z += m_n * tl.load(w_m + channels, mask=inside, other=0.0).to(ACC)
    z *= rstd_c
    scale = rstd_c
    shift = z
    if w_v is not None:
        r = scaling_factor(m_n, z, w_v, w_b, channels, inside, INSTANCE, ACC)
        scale *= r
        shift *= r
    return scale, shift, m_n


@triton.jit(do_not_specialize=["N", "M"])
def norms_kernel(m, v, inverse_norm, N, C, M, BC: tl.constexpr):
    """1 / |x_n| from the moments, 0 for a sample that is zero.

    inf / inf where the norm is not finite, so that it shows in the similarity.
    """
    ACC: tl.constexpr = m.dtype.element_ty
    n = tl.program_id(0)
    squares = tl.zeros([BC], ACC)
    for start in range(0, C, BC):
        channels = start + tl.arange(0, BC)
        m_n = tl.load(m + n * C + channels, mask=channels < C, other=0.0)
        squares += m_n * m_n + tl.load(v + n * C + channels, mask=channels < C, other=0.0)
    squared = tl.sum(squares, 0) * number(M, ACC)
    zero = squared == 0.0
    tl.store(inverse_norm + n, tl.where(zero, 0.0, tl.sqrt(squared) / tl.where(zero, 1.0, squared)))


@triton.jit(do_not_specialize=["N", "parts"])
def similarity_kernel(partial, inverse_norm, out, N, parts, B: tl.constexpr):
    """c = (|u|**2 - nonzero samples) / (N * (N - 1)), |u|**2 as the sum of its parts. One program."""
    ACC: tl.constexpr = inverse_norm.dtype.element_ty
    squared = tl.zeros([B], ACC)
    for start in range(0, parts, B):
        i = start + tl.arange(0, B)
        squared += tl.load(partial + i, mask=i < parts, other=0.0)
    nonzero = tl.zeros([B], ACC)
    for start in range(0, N, B):
        i = start + tl.arange(0, B)
        value = tl.load(inverse_norm + i, mask=i < N, other=0.0)
        nonzero += tl.where(value == 0.0, 0.0, 1.0).to(ACC)
    pairs = number(N, ACC) * number(N - 1, ACC)
    tl.store(out, (tl.sum(squared, 0) - tl.sum(nonzero, 0)) / pairs)


@triton.jit
def is_unseen(similarity):
    """gate.is_unseen"""
    BITS: tl.constexpr = tl.int64 if similarity.dtype.primitive_bitwidth == 64 else tl.int32
    return (similarity == 0.0) & (similarity.to(BITS, bitcast=True) < 0)


@triton.jit
def decide_kernel(
    observed,
    running_similarity,
    tracked,
    flags,
    is_open,
    threshold: "fp64",
    similarity_momentum: "fp64",
    momentum: "fp64",
    GATED: tl.constexpr,
    CUMULATIVE: tl.constexpr,
):
    """gate.decide, and its state moved, before the programs of settle_kernel read what it says. One program.

    flags: flow (the gate is open), accept, and the factor by which the running statistics move.
    """
    ACC: tl.constexpr = flags.dtype.element_ty
    count = tl.load(tracked)
    opened = count >= 0
    accept = opened
    if GATED:
        c_x = tl.load(observed).to(ACC)
        s = tl.load(running_similarity).to(ACC)
        finite = tl.abs(c_x) < float("inf")
        moved = tl.where(is_unseen(s), c_x, s + (c_x - s) * number(similarity_momentum, ACC)) + 0.0
        s = tl.where(finite & (is_unseen(c_x) == 0), moved, s)
        opened = (s > number(threshold, ACC)) | is_unseen(s) | (count == 0)
        accept = opened & finite
        tl.store(running_similarity, s)
    count += accept.to(tl.int64)
    tl.store(tracked, count)
    factor = number(momentum, ACC)
    if CUMULATIVE:
        factor = 1.0 / tl.maximum(count, 1).to(ACC)
    tl.store(flags, opened.to(ACC))
    tl.store(flags + 1, accept.to(ACC))
    tl.store(flags + 2, factor)
    tl.store(is_open, opened)


@triton.jit(do_not_specialize=["N"])
def settle_kernel(
    m,
    v,
    w_m,
    flags,
    running_mean,
    running_var,
    mean,
    rstd,
    N,
    C,
    eps: "fp64",
    unbias: "fp64",
    BN: tl.constexpr,
    BC: tl.constexpr,
):
    """mean and rstd (C,) to normalize with, by the law of total variance or the running ones; moves those."""
    ACC: tl.constexpr = m.dtype.element_ty
    channels = tl.program_id(0) * BC + tl.arange(0, BC)
    inside = channels < C
    samples = number(N, ACC)
    sum_m = tl.zeros([BN, BC], ACC)
    sum_v = tl.zeros([BN, BC], ACC)
    for start in range(0, N, BN):
        n = start + tl.arange(0, BN)
        mask = (n < N)[:, None] & inside[None, :]
        where = n[:, None] * C + channels[None, :]
        sum_m += tl.load(m + where, mask=mask, other=0.0)
        sum_v += tl.load(v + where, mask=mask, other=0.0)
    average = tl.sum(sum_m, 0) / samples
    squares = tl.zeros([BN, BC], ACC)
    for start in range(0, N, BN):
        n = start + tl.arange(0, BN)
        mask = (n < N)[:, None] & inside[None, :]
        apart = tl.load(m + n[:, None] * C + channels[None, :], mask=mask, other=0.0) - average[None, :]
        squares += tl.where(mask, apart * apart, 0.0)
    between = tl.sum(squares, 0) / samples
    if w_m is not None:
        one_plus_w_m = 1.0 + tl.load(w_m + channels, mask=inside, other=0.0).to(ACC)
        average *= one_plus_w_m
        between *= one_plus_w_m * one_plus_w_m
    var = tl.sum(sum_v, 0) / samples + between
    opened = tl.load(flags) != 0.0
    accept = tl.load(flags + 1) != 0.0
    factor = tl.load(flags + 2)
    old_mean = tl.load(running_mean + channels, mask=inside, other=0.0).to(ACC)
    old_var = tl.load(running_var + channels, mask=inside, other=0.0).to(ACC)
    tl.store(mean + channels, tl.where(opened, average, old_mean), mask=inside)
    used = tl.where(opened, var, old_var) + number(eps, ACC)
    tl.store(rstd + channels, 1.0 / tl.sqrt(used), mask=inside)
    moved_mean = old_mean + factor * (average - old_mean)
    moved_var = old_var + factor * (var * number(unbias, ACC) - old_var)
    tl.store(running_mean + channels, tl.where(accept, moved_mean, old_mean), mask=inside)
    tl.store(running_var + channels, tl.where(accept, moved_var, old_var), mask=inside)


@triton.jit(do_not_specialize=["slots"])
def slots_kernel(partial, weight, bias, slots, C, TAPS: tl.constexpr, BS: tl.constexpr, BC: tl.constexpr):
    """weight (C, taps) and bias (C,) as sums over slots of partial (slots, taps + 1, C), in a fixed order."""
    channels = tl.program_id(0) * BC + tl.arange(0, BC)
    tap = tl.program_id(1)
    total = tl.zeros([BS, BC], partial.dtype.element_ty)
    for start in range(0, slots, BS):
        slot = start + tl.arange(0, BS)
        mask = (slot < slots)[:, None] & (channels < C)[None, :]
        where = (slot[:, None].to(tl.int64) * (TAPS + 1) + tap) * C + channels[None, :]
        total += tl.load(partial + where, mask=mask, other=0.0)
    found = tl.sum(total, 0)
    if tap < TAPS:
        tl.store(weight + channels * TAPS + tap, found, mask=channels < C)
    else:
        tl.store(bias + channels, found, mask=channels < C)
