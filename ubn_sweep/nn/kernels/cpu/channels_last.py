"""Loops over channels_last data: x as (N, M, C), M = H*W, the channels innermost.

Each loop handles a range of samples. What it sums over samples comes in one row per range.

Depthwise steps: band by band of image rows, a padded band, then pixel by pixel with the channels as the innermost loop.
`taps` is any tuple of K numbers: its length is known to the compiler, which unrolls the loops over K x K taps.
"""

from __future__ import annotations

import numpy as np
from numba import uintp

from ubn_sweep.nn.kernels.cpu.jit import compiled

BAND_ELEMENTS = 1 << 15
"""Of the padded rows that a depthwise step works on at a time, so that they stay in the cache."""


@compiled
def moments(x, m, v, first, last):
    """m = mean over M, v = mean of (x - m)**2, the first pass's rounding corrected by the second's."""
    _, M, C = x.shape
    inverse = m.dtype.type(1) / m.dtype.type(M)
    rest = np.empty(C, m.dtype)
    for n in range(first, last):
        mean, square = m[n], v[n]
        mean[:] = 0
        square[:] = 0
        rest[:] = 0
        for p in range(M):
            row = x[n, p]
            for c in range(C):
                mean[c] += row[c]
        for c in range(C):
            mean[c] *= inverse
        for p in range(M):
            row = x[n, p]
            for c in range(C):
                d = row[c] - mean[c]
                rest[c] += d
                square[c] += d * d
        for c in range(C):
            correction = rest[c] * inverse
            mean[c] += correction
            square[c] = square[c] * inverse - correction * correction


@compiled
def scale_shift(x, m, scale, shift, y, first, last):
    """y = (x - m) * scale + shift; m, scale, shift (N, C)."""
    _, M, C = x.shape
    for n in range(first, last):
        mean, a, b = m[n], scale[n], shift[n]
        for p in range(M):
            row, out = x[n, p], y[n, p]
            for c in range(C):
                out[c] = (row[c] - mean[c]) * a[c] + b[c]


@compiled
def row_sums(g, x, m, total, product, first, last):
    """sum over M of g and of g * (x - m)."""
    _, M, C = x.shape
    for n in range(first, last):
        mean, plain, weighted = m[n], total[n], product[n]
        plain[:] = 0
        weighted[:] = 0
        for p in range(M):
            gradient, row = g[n, p], x[n, p]
            for c in range(C):
                plain[c] += gradient[c]
                weighted[c] += gradient[c] * (row[c] - mean[c])


@compiled
def combine(g, x, m, g_pivot, g_scale, x_scale, shift, gx, first, last):
    """gx = (g - g_pivot) * g_scale + (x - m) * x_scale + shift; x_scale (C,), the others (N, C)."""
    _, M, C = x.shape
    for n in range(first, last):
        pivot, a, mean, s = g_pivot[n], g_scale[n], m[n], shift[n]
        for p in range(M):
            gradient, row, out = g[n, p], x[n, p], gx[n, p]
            for c in range(C):
                out[c] = (gradient[c] - pivot[c]) * a[c] + (row[c] - mean[c]) * x_scale[c] + s[c]


@compiled
def combine_in_place(g, x, m, g_pivot, g_scale, x_scale, shift, first, last):
    """As `combine`, over g: one array less to tell apart, which vector code must do at run time."""
    _, M, C = x.shape
    for n in range(first, last):
        pivot, a, mean, s = g_pivot[n], g_scale[n], m[n], shift[n]
        for p in range(M):
            out, row = g[n, p], x[n, p]
            for c in range(C):
                out[c] = (out[c] - pivot[c]) * a[c] + (row[c] - mean[c]) * x_scale[c] + s[c]


@compiled
def _pad(rows, W, mean, scale, shift, start, radius, padded):
    """Image rows start - radius, ... of (rows - mean) * scale + shift, within zeros, into padded (B, W', C)."""
    M, C = rows.shape
    H = M // W
    for b in range(padded.shape[0]):
        h = start + b - radius
        out = padded[b]
        if h < 0 or h >= H:
            out[:] = 0
            continue
        out[:radius] = 0
        out[radius + W :] = 0
        for w in range(W):
            row, one = rows[h * W + w], out[radius + w]
            for c in range(C):
                one[c] = (row[c] - mean[c]) * scale[c] + shift[c]


@compiled
def _convolve(padded, weight, bias, width, C, taps, out):
    """One pixel: padded (flat) from its first tap on, weight (K * K * C,)."""
    K = len(taps)
    for c in range(C):
        value = bias[c]
        for i in range(K):
            for j in range(K):
                value += weight[uintp((i * K + j) * C + c)] * padded[uintp((i * width + j) * C + c)]
        out[uintp(c)] = value


@compiled
def _correlate(inside, padded, width, C, taps, sums):
    """sums[i * K + j] += inside * padded, one pixel, all its taps."""
    K = len(taps)
    for i in range(K):
        for j in range(K):
            tap, shifted = sums[i * K + j], padded[(i * width + j) * C : (i * width + j + 1) * C]
            for c in range(C):
                tap[c] += inside[c] * shifted[c]


@compiled
def depthwise_rectify(x, W, taps, m, scale, shift, weight, bias, y, first, last):
    """y = convolution of (x - m) * scale + shift; x, y (N, M, C), m, scale, shift (N, C), weight (K * K, C)."""
    radius = len(taps) // 2
    _, M, C = x.shape
    H = M // W
    width = W + 2 * radius
    band = min(H, max(1, BAND_ELEMENTS // (width * C) - 2 * radius))
    padded = np.empty((band + 2 * radius, width, C), x.dtype)
    flat = padded.reshape(-1)
    by_tap = weight.reshape(-1)
    for n in range(first, last):
        for start in range(0, H, band):
            _pad(x[n], W, m[n], scale[n], shift[n], start, radius, padded)
            for h in range(start, min(start + band, H)):
                for w in range(W):
                    at = ((h - start) * width + w) * C
                    _convolve(flat[at:], by_tap, bias, width, C, taps, y[n, h * W + w])


@compiled
def depthwise_reduce(
    gy, x, W, taps, m, scale, shift, weight, g, total, product, by_weight, by_bias, first, last
):
    """g = gradient by x_cs = (x - m) * scale + shift, its row_sums, and the gradients by weight and bias.

    Returns the gradients of this range: (K * K, C) and (C,), float64; by_weight and by_bias are not used.
    """
    K = len(taps)
    radius = K // 2
    _, M, C = x.shape
    H = M // W
    width = W + 2 * radius
    band = min(H, max(1, BAND_ELEMENTS // (width * C) - 2 * radius))
    padded = np.empty((band + 2 * radius, width, C), x.dtype)
    flat = padded.reshape(-1)
    flipped = weight[::-1].copy().reshape(-1)
    zeros = np.zeros(C, x.dtype)
    ones = np.ones(C, x.dtype)
    inside = np.empty(C, x.dtype)
    sums = np.empty((K * K, C), x.dtype)
    bias = np.empty(C, x.dtype)
    weight_sum = np.zeros((K * K, C))
    bias_sum = np.zeros(C)
    for n in range(first, last):
        plain, weighted, mean, a, b = total[n], product[n], m[n], scale[n], shift[n]
        plain[:] = 0
        weighted[:] = 0
        for start in range(0, H, band):
            _pad(gy[n], W, zeros, ones, zeros, start, radius, padded)
            sums[:] = 0
            bias[:] = 0
            for h in range(start, min(start + band, H)):
                for w in range(W):
                    p, at = h * W + w, ((h - start) * width + w) * C
                    out, row, by_y = g[n, p], x[n, p], gy[n, p]
                    _convolve(flat[at:], flipped, zeros, width, C, taps, out)
                    for c in range(C):
                        d = row[c] - mean[c]
                        inside[c] = d * a[c] + b[c]
                        plain[c] += out[c]
                        weighted[c] += out[c] * d
                        bias[c] += by_y[c]
                    _correlate(inside, flat[at:], width, C, taps, sums)
            for c in range(C):
                for i in range(K * K):
                    weight_sum[i, c] += sums[i, c]
                bias_sum[c] += bias[c]
    return weight_sum[::-1].copy(), bias_sum
