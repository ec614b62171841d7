"""Loops over (N, C) and smaller: what lies between the passes over the data, as `plain` states it.

What a layer leaves out is given by what changes nothing: w_m 0, w_v 0 and w_b inf (so r = 1),
weight 1, bias 0. A weight or bias is read at [n * step + c], step 0 or C (per sample). Sums over N in float64.
"""

from __future__ import annotations

import math

import numpy as np

from ubn_sweep.nn.kernels.cpu.jit import compiled, compiled_exactly

UNDECIDED = -1


@compiled_exactly
def inverse_norms(m, v, M, out):
    """out (N,) = 1 / |x_n|, 0 for zeros; returns how many are not. A sample that is not finite yields nan."""
    nonzero = 0
    for n in range(m.shape[0]):
        square = 0.0
        for c in range(m.shape[1]):
            square += np.float64(v[n, c]) + np.float64(m[n, c]) * np.float64(m[n, c])
        square *= M
        out[n] = 0.0
        if square != 0.0:
            nonzero += 1
            out[n] = math.sqrt(square) / square
    return nonzero


@compiled_exactly
def _batch_statistics(m, v, w_m):
    """mean and var (C,) of x_c, by the law of total variance; float64."""
    N, C = m.shape
    mean = np.zeros(C)
    var = np.zeros(C)
    between = np.zeros(C)
    for n in range(N):
        for c in range(C):
            mean[c] += m[n, c]
            var[c] += v[n, c]
    for c in range(C):
        mean[c] /= N
    for n in range(N):
        for c in range(C):
            d = m[n, c] - mean[c]
            between[c] += d * d
    for c in range(C):
        one_plus_w_m = 1.0 + w_m[c]
        mean[c] *= one_plus_w_m
        var[c] = (var[c] + one_plus_w_m * one_plus_w_m * between[c]) / N
    return mean, var


@compiled_exactly
def _is_unseen(similarity):
    """gate.is_unseen"""
    return similarity == 0.0 and math.copysign(1.0, similarity) < 0.0


@compiled_exactly
def _decide(observed, var, running_similarity, accepted_batches, threshold, similarity_momentum):
    """gate.decide: whether the gate is open, and whether to accept the batch; observed is None where N = 1."""
    if observed is None:
        finite = True
        for c in range(var.size):
            finite = finite and math.isfinite(var[c])
    else:
        finite = math.isfinite(observed)
        if finite and not _is_unseen(observed):
            s = np.float64(running_similarity[0])
            moved = observed if _is_unseen(s) else s + similarity_momentum * (observed - s)
            # Adding zero turns a mean that has vanished from below, which would be gate.UNSEEN, into 0.0.
            running_similarity[0] = moved + 0.0
    above = running_similarity[0] > running_similarity.dtype.type(threshold)
    is_open = above or accepted_batches == 0 or _is_unseen(np.float64(running_similarity[0]))
    return is_open, is_open and finite


@compiled_exactly
def settle(
    m,
    v,
    w_m,
    observed,
    decided,
    options,
    elements,
    running_mean,
    running_var,
    running_similarity,
    num_batches_tracked,
    mean,
    rstd,
):
    """Fills mean, rstd; moves the running ones; returns whether the gate is open.

    observed: the similarity, or None. decided: UNDECIDED, or what the gate was, and no state moves.
    options: (eps, momentum, threshold, similarity_momentum); momentum -1 averages over all accepted batches, a
    threshold of -inf is a gate that is switched off.
    """
    eps, momentum, threshold, similarity_momentum = options
    batch_mean, batch_var = _batch_statistics(m, v, w_m)
    is_open, accept = decided != 0, decided == UNDECIDED
    if decided == UNDECIDED and threshold > -math.inf:
        is_open, accept = _decide(
            observed, batch_var, running_similarity, num_batches_tracked[0], threshold, similarity_momentum
        )
    for c in range(mean.size):
        var = batch_var[c] if is_open else np.float64(running_var[c])
        mean[c] = batch_mean[c] if is_open else running_mean[c]
        rstd[c] = 1.0 / math.sqrt(var + eps)
    if accept:
        num_batches_tracked[0] += 1
        factor = 1.0 / num_batches_tracked[0] if momentum < 0.0 else momentum
        unbiased = elements / (elements - 1.0)
        for c in range(mean.size):
            running_mean[c] += factor * (batch_mean[c] - running_mean[c])
            running_var[c] += factor * (batch_var[c] * unbiased - running_var[c])
    return is_open


@compiled
def _normalized_mean_and_factor(m, mean, rstd, w_m, w_v, w_b, instance):
    """z = ((1 + w_m) * m - mean) * rstd and r = sigmoid(w_v * k + w_b), k = m (instance) or z; (N, C) each."""
    one = m.dtype.type(1)
    z = np.empty_like(m)
    r = np.empty_like(m)
    for n in range(m.shape[0]):
        for c in range(m.shape[1]):
            z[n, c] = ((one + w_m[c]) * m[n, c] - mean[c]) * rstd[c]
            k = m[n, c] if instance else z[n, c]
            r[n, c] = one / (one + math.exp(-(w_v[c] * k + w_b[c])))
    return z, r


@compiled
def scale_and_shift(
    m, mean, rstd, w_m, w_v, w_b, instance, weight, weight_step, bias, bias_step, scale, shift
):
    """Fills scale, shift (N, C): weight * x_cs + bias = (x - m) * scale + shift."""
    z, r = _normalized_mean_and_factor(m, mean, rstd, w_m, w_v, w_b, instance)
    for n in range(m.shape[0]):
        for c in range(m.shape[1]):
            gain = weight[n * weight_step + c] * r[n, c]
            scale[n, c] = gain * rstd[c]
            shift[n, c] = gain * z[n, c] + bias[n * bias_step + c]


@compiled
def finalize(
    S,
    D,
    m,
    mean,
    rstd,
    w_m,
    w_v,
    w_b,
    instance,
    weight,
    weight_step,
    M,
    flow,
    elements,
    grad_w_m,
    grad_w_v,
    grad_w_b,
    grad_weight,
    grad_bias,
    g_mean,
    g_scale,
    x_scale,
    gx_mean,
):
    """Fills the gradients by the parameters (C,), and the coefficients of `combine`; docs/layer.md, "Backward".

    grad_weight is (N * C,) where weight_step is C. grad_bias: the sum of S over N.
    """
    N, C = m.shape
    one = m.dtype.type(1)
    z, r = _normalized_mean_and_factor(m, mean, rstd, w_m, w_v, w_b, instance)
    sums = np.zeros((10, C))  # in one piece: a small layer notices each allocation
    mean_m, sum_S, sum_rP, sum_T, sum_E = sums[0], sums[1], sums[2], sums[3], sums[4]
    sum_h, sum_hk, sum_mQ, B1, B2 = sums[5], sums[6], sums[7], sums[8], sums[9]
    for n in range(N):
        for c in range(C):
            weight_nc = weight[n * weight_step + c]
            rP = r[n, c] * (rstd[c] * D[n, c] + z[n, c] * S[n, c])
            E = weight_nc * rP
            h = E * (one - r[n, c])
            mean_m[c] += m[n, c]
            sum_S[c] += S[n, c]
            sum_T[c] += weight_nc * r[n, c] * S[n, c]
            sum_E[c] += E
            sum_h[c] += h
            sum_hk[c] += h * (m[n, c] if instance else z[n, c])
            if weight_step > 0:
                grad_weight[n * weight_step + c] = rP
            else:
                sum_rP[c] += rP
    for c in range(C):
        mean_m[c] /= N
        grad_w_v[c] = sum_hk[c]
        grad_w_b[c] = sum_h[c]
        grad_bias[c] = sum_S[c]
        if weight_step == 0:
            grad_weight[c] = sum_rP[c]
        if not instance:
            sum_T[c] += w_v[c] * sum_h[c]
            sum_E[c] += w_v[c] * sum_hk[c]
        # The sum of Q over n is 0 where the statistics flow: about the mean of m, its rounding is not magnified.
        sum_mQ[c] = (1.0 - flow) * mean_m[c] * sum_T[c] * rstd[c]
        B1[c] = sum_T[c] * flow / elements
        B2[c] = sum_E[c] * flow / elements
        x_scale[c] = -B2[c] * rstd[c] * rstd[c]
    for n in range(N):
        for c in range(C):
            gain = weight[n * weight_step + c] * r[n, c]
            E = gain * (rstd[c] * D[n, c] + z[n, c] * S[n, c])
            through_k = w_v[c] * E * (one - r[n, c])
            T = gain * S[n, c] if instance else gain * S[n, c] + through_k
            Q = rstd[c] * (T - M * (B1[c] + z[n, c] * B2[c]))
            sum_gx = (one + w_m[c]) * Q
            sum_mQ[c] += Q * (m[n, c] - mean_m[c])
            gx_mean[n, c] = (sum_gx + through_k if instance else sum_gx) / M
            g_mean[n, c] = S[n, c] / M
            g_scale[n, c] = gain * rstd[c]
    for c in range(C):
        grad_w_m[c] = sum_mQ[c]
