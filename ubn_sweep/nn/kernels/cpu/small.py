"""Loops over (N, C) and smaller: what lies between the passes over the data, as `plain` states it.

What a layer leaves out is given by what changes nothing: center 0, scale 0 and scale_bias inf (so r = 1),
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
def _batch_statistics(m, v, center):
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
        gain = 1.0 + center[c]
        mean[c] *= gain
        var[c] = (var[c] + gain * gain * between[c]) / N
    return mean, var


@compiled_exactly
def _decide(observed, var, running_similarity, accepted_batches, threshold, similarity_momentum):
    """gate.decide: whether the gate is open, and whether to accept the batch; observed is None where N = 1."""
    if observed is None:
        finite = True
        for c in range(var.size):
            finite = finite and math.isfinite(var[c])
    else:
        finite = math.isfinite(observed)
        if finite:
            s = np.float64(running_similarity[0])
            unseen = s == 0.0 and math.copysign(1.0, s) < 0.0
            moved = observed if unseen else s + similarity_momentum * (observed - s)
            # Adding zero turns -0.0, the mark of "none yet", into 0.0.
            running_similarity[0] = moved + 0.0
    is_open = running_similarity[0] > running_similarity.dtype.type(threshold) or accepted_batches == 0
    return is_open, is_open and finite


@compiled_exactly
def settle(
    m,
    v,
    center,
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
    batch_mean, batch_var = _batch_statistics(m, v, center)
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
def _ratios(m, mean, rstd, center, scale, scale_bias, instance, z, r):
    """z = ((1 + w_m) * m - mean) * rstd and r = sigmoid(w_v * k + w_b), k = m (instance) or z."""
    one = m.dtype.type(1)
    for n in range(m.shape[0]):
        for c in range(m.shape[1]):
            z[n, c] = ((one + center[c]) * m[n, c] - mean[c]) * rstd[c]
            k = m[n, c] if instance else z[n, c]
            r[n, c] = one / (one + math.exp(-(scale[c] * k + scale_bias[c])))


@compiled
def scale_and_shift(
    m, mean, rstd, center, scale, scale_bias, instance, weight, weight_step, bias, bias_step, by, to
):
    """by, to (N, C): weight * x_cs + bias = (x - m) * by + to."""
    _ratios(m, mean, rstd, center, scale, scale_bias, instance, to, by)
    for n in range(m.shape[0]):
        for c in range(m.shape[1]):
            gain = by[n, c] * weight[n * weight_step + c]
            to[n, c] = to[n, c] * gain + bias[n * bias_step + c]
            by[n, c] = gain * rstd[c]


@compiled
def finalize(
    total,
    product,
    m,
    mean,
    rstd,
    center,
    scale,
    scale_bias,
    instance,
    weight,
    weight_step,
    M,
    flow,
    elements,
    by_center,
    by_scale,
    by_scale_bias,
    by_weight,
    by_bias,
    g_pivot,
    g_scale,
    x_scale,
    shift,
):
    """The gradients by the parameters (C,), and the coefficients of the gradient by x; docs/layer.md, "Backward".

    by_weight is (N, C) where weight_step is C. by_bias: the sum of total over N.
    """
    N, C = m.shape
    one = m.dtype.type(1)
    z = np.empty_like(m)
    r = np.empty_like(m)
    _ratios(m, mean, rstd, center, scale, scale_bias, instance, z, r)
    mean_m = np.zeros(C)
    sum_T = np.zeros(C)
    sum_E = np.zeros(C)
    h_sum = np.zeros(C)
    hk_sum = np.zeros(C)
    weight_sum = np.zeros(C)
    bias_sum = np.zeros(C)
    for n in range(N):
        for c in range(C):
            S, ratio = total[n, c], r[n, c]
            factor = weight[n * weight_step + c]
            AP = ratio * (rstd[c] * product[n, c] + z[n, c] * S)
            E = factor * AP
            T = factor * ratio * S
            h = E * (one - ratio)
            # Kept where the second loop finds them: h, and T without its other part.
            shift[n, c] = h
            g_pivot[n, c] = T
            mean_m[c] += m[n, c]
            sum_T[c] += T
            sum_E[c] += E
            h_sum[c] += h
            hk_sum[c] += h * (m[n, c] if instance else z[n, c])
            bias_sum[c] += S
            if weight_step > 0:
                by_weight[n * weight_step + c] = AP
            else:
                weight_sum[c] += AP
    for c in range(C):
        mean_m[c] /= N
        by_scale[c] = hk_sum[c]
        by_scale_bias[c] = h_sum[c]
        by_bias[c] = bias_sum[c]
        if weight_step == 0:
            by_weight[c] = weight_sum[c]
        if not instance:
            sum_T[c] += h_sum[c] * scale[c]
            sum_E[c] += hk_sum[c] * scale[c]
        # The sum of Q over n is 0 where the statistics flow: about the mean of m, its rounding is not magnified.
        h_sum[c] = (1.0 - flow) * mean_m[c] * sum_T[c] * rstd[c]
        sum_T[c] *= flow / elements
        sum_E[c] *= flow / elements
        x_scale[c] = -sum_E[c] * rstd[c] * rstd[c]
    for n in range(N):
        for c in range(C):
            through_k = shift[n, c] * scale[c]
            T = g_pivot[n, c]
            inner = T if instance else T + through_k
            Q = rstd[c] * (inner - M * (sum_T[c] + z[n, c] * sum_E[c]))
            h_sum[c] += Q * (m[n, c] - mean_m[c])
            outer = (one + center[c]) * Q
            shift[n, c] = (outer + through_k if instance else outer) / M
            g_pivot[n, c] = total[n, c] / M
            g_scale[n, c] = weight[n * weight_step + c] * r[n, c] * rstd[c]
    for c in range(C):
        by_center[c] = h_sum[c]
