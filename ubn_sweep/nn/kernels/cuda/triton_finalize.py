# mypy: ignore-errors
# ruff: noqa: F821
"""The Triton kernel between the two passes of the backward pass: plain.finalize, a program per block of channels."""

import triton
import triton.language as tl

from ubn_sweep.nn.kernels.cuda.triton_small import number, scaling_factor


@triton.jit
def vector(pointer, channels, inside, ACC: tl.constexpr):
    """(1, C)"""
    return tl.load(pointer + channels, mask=inside, other=0.0).to(ACC)[None, :]


@triton.jit
def sample_block(
    start,
    channels,
    inside,
    S,
    D,
    m,
    mean,
    rstd,
    w_m,
    w_v,
    w_b,
    weight,
    N,
    C,
    INSTANCE: tl.constexpr,
    BN: tl.constexpr,
):
    """(mask, where, S, m, z, rP, h, gain) of BN samples (BN, BC); h is 0 without a scaling step."""
    ACC: tl.constexpr = m.dtype.element_ty
    n = start + tl.arange(0, BN)
    mask = (n < N)[:, None] & inside[None, :]
    where = n[:, None] * C + channels[None, :]
    m_n = tl.load(m + where, mask=mask, other=0.0)
    S_n = tl.load(S + where, mask=mask, other=0.0)
    rstd_c = vector(rstd, channels, inside, ACC)
    z = m_n - vector(mean, channels, inside, ACC)
    if w_m is not None:
        z += m_n * vector(w_m, channels, inside, ACC)
    z *= rstd_c
    rP = S_n * z + tl.load(D + where, mask=mask, other=0.0) * rstd_c
    gain = tl.full([BN, channels.shape[0]], 1.0, ACC)
    h = tl.zeros([BN, channels.shape[0]], ACC)
    weight_c = tl.full([1, channels.shape[0]], 1.0, ACC)
    if weight is not None:
        weight_c = vector(weight, channels, inside, ACC)
    if w_v is not None:
        r = scaling_factor(m_n, z, w_v, w_b, channels[None, :], inside[None, :], INSTANCE, ACC)
        rP *= r
        gain = r
        h = rP * weight_c * (1.0 - r)
    return mask, where, S_n, m_n, z, rP, h, gain * weight_c


@triton.jit(do_not_specialize=["N", "M"])
def finalize_kernel(
    m,
    S,
    D,
    mean,
    rstd,
    w_m,
    w_v,
    w_b,
    weight,
    flow,
    g_mean,
    g_scale,
    x_scale,
    gx_mean,
    grad_w_m,
    grad_w_v,
    grad_w_b,
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
    flow_value = number(constant_flow, ACC)
    if flow is not None:
        flow_value = tl.load(flow).to(ACC)
    sum_m = tl.zeros([BC], ACC)
    sum_S = tl.zeros([BC], ACC)
    sum_rP = tl.zeros([BC], ACC)
    sum_T = tl.zeros([BC], ACC)
    sum_h = tl.zeros([BC], ACC)
    sum_hk = tl.zeros([BC], ACC)
    for start in range(0, N, BN):
        mask, where, S_n, m_n, z, rP, h, gain = sample_block(
            start, channels, inside, S, D, m, mean, rstd, w_m, w_v, w_b, weight, N, C, INSTANCE, BN
        )
        sum_m += tl.sum(m_n, 0)
        sum_S += tl.sum(S_n, 0)
        sum_rP += tl.sum(rP, 0)
        sum_T += tl.sum(S_n * gain, 0)
        sum_h += tl.sum(h, 0)
        sum_hk += tl.sum(h * (m_n if INSTANCE else z), 0)
    rstd_c = tl.load(rstd + channels, mask=inside, other=0.0).to(ACC)
    sum_E = sum_rP
    if weight is not None:
        sum_E = sum_rP * tl.load(weight + channels, mask=inside, other=0.0).to(ACC)
        tl.store(grad_weight + channels, sum_rP, mask=inside)
    if grad_bias is not None:
        tl.store(grad_bias + channels, sum_S, mask=inside)
    w_v_c = tl.zeros([BC], ACC)
    if w_v is not None:
        w_v_c = tl.load(w_v + channels, mask=inside, other=0.0).to(ACC)
        tl.store(grad_w_v + channels, sum_hk, mask=inside)
        tl.store(grad_w_b + channels, sum_h, mask=inside)
        if not INSTANCE:
            sum_T += sum_h * w_v_c
            sum_E += sum_hk * w_v_c
    pixels = number(M, ACC)
    # A constant flow of zero drops the sums rather than multiplying them by it, as plain does.
    B1 = tl.zeros([BC], ACC)
    B2 = tl.zeros([BC], ACC)
    if (flow is not None) or (constant_flow != 0.0):
        B1 = sum_T * (flow_value / number(elements, ACC))
        B2 = sum_E * (flow_value / number(elements, ACC))
    tl.store(x_scale + channels, -(B2 * rstd_c * rstd_c), mask=inside)
    mean_m = sum_m / number(N, ACC)
    sum_mQ = tl.zeros([BC], ACC)
    for start in range(0, N, BN):
        mask, where, S_n, m_n, z, rP, h, gain = sample_block(
            start, channels, inside, S, D, m, mean, rstd, w_m, w_v, w_b, weight, N, C, INSTANCE, BN
        )
        T = S_n * gain
        through_k = h * w_v_c[None, :]
        if (w_v is not None) and (not INSTANCE):
            T += through_k
        Q = (T - pixels * (B1[None, :] + z * B2[None, :])) * rstd_c[None, :]
        sum_mQ += tl.sum(tl.where(mask, Q * (m_n - mean_m[None, :]), 0.0), 0)
        sum_gx = Q
        if w_m is not None:
            sum_gx += Q * tl.load(w_m + channels, mask=inside, other=0.0).to(ACC)[None, :]
        if (w_v is not None) and INSTANCE:
            sum_gx += through_k
        tl.store(g_mean + where, S_n / pixels, mask=mask)
        tl.store(g_scale + where, gain * rstd_c[None, :], mask=mask)
        tl.store(gx_mean + where, sum_gx / pixels, mask=mask)
    if w_m is not None:
        # Where the statistics flow sum_n(Q) is 0: about the mean of m, its rounding is not magnified.
        if (flow is not None) or (constant_flow != 1.0):
            sum_mQ += mean_m * (1.0 - flow_value) * sum_T * rstd_c
        tl.store(grad_w_m + channels, sum_mQ, mask=inside)
