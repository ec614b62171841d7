# mypy: ignore-errors
# ruff: noqa: F821
"""The Triton kernel between the two passes of the backward pass: plain.finalize, a program per block of channels."""

import triton
import triton.language as tl

from ubn_sweep.nn.kernels.cuda.triton_small import number, ratio_of


@triton.jit
def vector(pointer, channels, inside, ACC: tl.constexpr):
    """(1, C)"""
    return tl.load(pointer + channels, mask=inside, other=0.0).to(ACC)[None, :]


@triton.jit
def sample_block(
    start,
    channels,
    inside,
    m,
    S,
    D,
    mean,
    rstd,
    center,
    scale,
    scale_bias,
    weight,
    N,
    C,
    INSTANCE: tl.constexpr,
    BN: tl.constexpr,
):
    """(mask, where, m, z, S, AP, h, gain) of BN samples (BN, BC); h is 0 without a scaling step."""
    ACC: tl.constexpr = m.dtype.element_ty
    n = start + tl.arange(0, BN)
    mask = (n < N)[:, None] & inside[None, :]
    where = n[:, None] * C + channels[None, :]
    own_mean = tl.load(m + where, mask=mask, other=0.0)
    total = tl.load(S + where, mask=mask, other=0.0)
    r = vector(rstd, channels, inside, ACC)
    z = own_mean - vector(mean, channels, inside, ACC)
    if center is not None:
        z += own_mean * vector(center, channels, inside, ACC)
    z *= r
    AP = total * z + tl.load(D + where, mask=mask, other=0.0) * r
    gain = tl.full([BN, channels.shape[0]], 1.0, ACC)
    h = tl.zeros([BN, channels.shape[0]], ACC)
    w = tl.full([1, channels.shape[0]], 1.0, ACC)
    if weight is not None:
        w = vector(weight, channels, inside, ACC)
    if scale is not None:
        ratio = ratio_of(own_mean, z, scale, scale_bias, channels[None, :], inside[None, :], INSTANCE, ACC)
        AP *= ratio
        gain = ratio
        h = AP * w * (1.0 - ratio)
    return mask, where, own_mean, z, total, AP, h, gain * w


@triton.jit(do_not_specialize=["N", "M"])
def finalize_kernel(
    m,
    S,
    D,
    mean,
    rstd,
    flow,
    center,
    scale,
    scale_bias,
    weight,
    pivot_out,
    scale_out,
    shift_out,
    slope_out,
    grad_center,
    grad_scale,
    grad_scale_bias,
    grad_weight,
    grad_bias,
    N,
    C,
    M,
    elements: "fp64",
    constant_flow: "fp64",
    INSTANCE: tl.constexpr,
    BN: tl.constexpr,
    BC: tl.constexpr,
):
    """Coefficients and the parameters' gradients. flow: None takes constant_flow."""
    ACC: tl.constexpr = m.dtype.element_ty
    channels = tl.program_id(0) * BC + tl.arange(0, BC)
    inside = channels < C
    flowing = number(constant_flow, ACC)
    if flow is not None:
        flowing = tl.load(flow).to(ACC)
    sum_m = tl.zeros([BC], ACC)
    sum_S = tl.zeros([BC], ACC)
    sum_AP = tl.zeros([BC], ACC)
    sum_T = tl.zeros([BC], ACC)
    sum_h = tl.zeros([BC], ACC)
    sum_hk = tl.zeros([BC], ACC)
    for start in range(0, N, BN):
        mask, where, a, z, s, AP, h, gain = sample_block(
            start,
            channels,
            inside,
            m,
            S,
            D,
            mean,
            rstd,
            center,
            scale,
            scale_bias,
            weight,
            N,
            C,
            INSTANCE,
            BN,
        )
        sum_m += tl.sum(a, 0)
        sum_S += tl.sum(s, 0)
        sum_AP += tl.sum(AP, 0)
        sum_T += tl.sum(s * gain, 0)
        sum_h += tl.sum(h, 0)
        sum_hk += tl.sum(h * (a if INSTANCE else z), 0)
    r = tl.load(rstd + channels, mask=inside, other=0.0).to(ACC)
    sum_E = sum_AP
    if weight is not None:
        sum_E = sum_AP * tl.load(weight + channels, mask=inside, other=0.0).to(ACC)
        tl.store(grad_weight + channels, sum_AP, mask=inside)
    if grad_bias is not None:
        tl.store(grad_bias + channels, sum_S, mask=inside)
    w_v = tl.zeros([BC], ACC)
    if scale is not None:
        w_v = tl.load(scale + channels, mask=inside, other=0.0).to(ACC)
        tl.store(grad_scale + channels, sum_hk, mask=inside)
        tl.store(grad_scale_bias + channels, sum_h, mask=inside)
        if not INSTANCE:
            sum_T += sum_h * w_v
            sum_E += sum_hk * w_v
    pixels = number(M, ACC)
    # A constant flow of zero drops the sums rather than multiplying them by it, as plain does.
    B1 = tl.zeros([BC], ACC)
    B2 = tl.zeros([BC], ACC)
    if (flow is not None) or (constant_flow != 0.0):
        B1 = sum_T * (flowing / number(elements, ACC))
        B2 = sum_E * (flowing / number(elements, ACC))
    tl.store(slope_out + channels, -(B2 * r * r), mask=inside)
    mean_m = sum_m / number(N, ACC)
    center_sum = tl.zeros([BC], ACC)
    for start in range(0, N, BN):
        mask, where, a, z, s, AP, h, gain = sample_block(
            start,
            channels,
            inside,
            m,
            S,
            D,
            mean,
            rstd,
            center,
            scale,
            scale_bias,
            weight,
            N,
            C,
            INSTANCE,
            BN,
        )
        through = s * gain
        if (scale is not None) and (not INSTANCE):
            through += h * w_v[None, :]
        Q = (through - pixels * (B1[None, :] + z * B2[None, :])) * r[None, :]
        center_sum += tl.sum(tl.where(mask, Q * (a - mean_m[None, :]), 0.0), 0)
        shift = Q
        if center is not None:
            shift += Q * tl.load(center + channels, mask=inside, other=0.0).to(ACC)[None, :]
        if (scale is not None) and INSTANCE:
            shift += h * w_v[None, :]
        tl.store(pivot_out + where, s / pixels, mask=mask)
        tl.store(scale_out + where, gain * r[None, :], mask=mask)
        tl.store(shift_out + where, shift / pixels, mask=mask)
    if center is not None:
        # Where the statistics flow sum_n(Q) is 0: about the mean of m, its rounding is not magnified.
        if (flow is not None) or (constant_flow != 1.0):
            center_sum += mean_m * (1.0 - flowing) * sum_T * r
        tl.store(grad_center + channels, center_sum, mask=inside)
