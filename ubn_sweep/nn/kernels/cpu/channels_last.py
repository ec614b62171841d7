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
        m_n, square = m[n], v[n]
        m_n[:] = 0
        square[:] = 0
        rest[:] = 0
        for p in range(M):
            row = x[n, p]
            for c in range(C):
                m_n[c] += row[c]
        for c in range(C):
            m_n[c] *= inverse
        for p in range(M):
            row = x[n, p]
            for c in range(C):
                d = row[c] - m_n[c]
                rest[c] += d
                square[c] += d * d
        for c in range(C):
            correction = rest[c] * inverse
            m_n[c] += correction
            square[c] = square[c] * inverse - correction * correction


@compiled
def scale_shift(x, m, scale, shift, y, first, last):
    """y = (x - m) * scale + shift; m, scale, shift (N, C)."""
    _, M, C = x.shape
    for n in range(first, last):
        m_n, scale_n, shift_n = m[n], scale[n], shift[n]
        for p in range(M):
            row, out = x[n, p], y[n, p]
            for c in range(C):
                out[c] = (row[c] - m_n[c]) * scale_n[c] + shift_n[c]


@compiled
def row_sums(g, x, m, S, D, first, last):
    """S and D: sum over M of g and of g * (x - m)."""
    _, M, C = x.shape
    for n in range(first, last):
        m_n, S_n, D_n = m[n], S[n], D[n]
        S_n[:] = 0
        D_n[:] = 0
        for p in range(M):
            g_p, row = g[n, p], x[n, p]
            for c in range(C):
                S_n[c] += g_p[c]
                D_n[c] += g_p[c] * (row[c] - m_n[c])


@compiled
def combine(g, x, m, g_mean, g_scale, x_scale, gx_mean, gx, first, last):
    """gx = (g - g_mean) * g_scale + (x - m) * x_scale + gx_mean; x_scale (C,), the others (N, C)."""
    _, M, C = x.shape
    for n in range(first, last):
        m_n, g_mean_n, g_scale_n, gx_mean_n = m[n], g_mean[n], g_scale[n], gx_mean[n]
        for p in range(M):
            g_p, row, out = g[n, p], x[n, p], gx[n, p]
            for c in range(C):
                from_g = (g_p[c] - g_mean_n[c]) * g_scale_n[c]
                out[c] = from_g + (row[c] - m_n[c]) * x_scale[c] + gx_mean_n[c]


@compiled
def combine_in_place(g, x, m, g_mean, g_scale, x_scale, gx_mean, first, last):
    """As `combine`, over g: one array less to tell apart, which vector code must do at run time."""
    _, M, C = x.shape
    for n in range(first, last):
        m_n, g_mean_n, g_scale_n, gx_mean_n = m[n], g_mean[n], g_scale[n], gx_mean[n]
        for p in range(M):
            out, row = g[n, p], x[n, p]
            for c in range(C):
                from_g = (out[c] - g_mean_n[c]) * g_scale_n[c]
                out[c] = from_g + (row[c] - m_n[c]) * x_scale[c] + gx_mean_n[c]


@compiled
def _pad(rows, W, m_n, scale_n, shift_n, start, radius, padded):
    """Image rows start - radius, ... of (rows - m_n) * scale_n + shift_n, within zeros, into padded (B, W', C)."""
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
                one[c] = (row[c] - m_n[c]) * scale_n[c] + shift_n[c]


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
    flat_weight = weight.reshape(-1)
    for n in range(first, last):
        for start in range(0, H, band):
            _pad(x[n], W, m[n], scale[n], shift[n], start, radius, padded)
            for h in range(start, min(start + band, H)):
                for w in range(W):
                    at = ((h - start) * width + w) * C
                    _convolve(flat[at:], flat_weight, bias, width, C, taps, y[n, h * W + w])


@compiled
def depthwise_reduce(gy, x, W, taps, m, scale, shift, weight, g, S, D, grad_weight, grad_bias, first, last):
    """g = gradient by x_cs = (x - m) * scale + shift, its row_sums, and the gradients by weight and bias.

    Returns the gradients of this range: (K * K, C) and (C,), float64; grad_weight and grad_bias are not used.
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
    sum_gy = np.empty(C, x.dtype)
    own_grad_weight = np.zeros((K * K, C))
    own_grad_bias = np.zeros(C)
    for n in range(first, last):
        m_n, scale_n, shift_n, S_n, D_n = m[n], scale[n], shift[n], S[n], D[n]
        S_n[:] = 0
        D_n[:] = 0
        for start in range(0, H, band):
            _pad(gy[n], W, zeros, ones, zeros, start, radius, padded)
            sums[:] = 0
            sum_gy[:] = 0
            for h in range(start, min(start + band, H)):
                for w in range(W):
                    p, at = h * W + w, ((h - start) * width + w) * C
                    out, row, gy_p = g[n, p], x[n, p], gy[n, p]
                    _convolve(flat[at:], flipped, zeros, width, C, taps, out)
                    for c in range(C):
                        d = row[c] - m_n[c]
                        inside[c] = d * scale_n[c] + shift_n[c]
                        S_n[c] += out[c]
                        D_n[c] += out[c] * d
                        sum_gy[c] += gy_p[c]
                    _correlate(inside, flat[at:], width, C, taps, sums)
            for c in range(C):
                for i in range(K * K):
                    own_grad_weight[i, c] += sums[i, c]
                own_grad_bias[c] += sum_gy[c]
    return own_grad_weight[::-1].copy(), own_grad_bias
