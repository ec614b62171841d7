"""Loops over contiguous data: x as rows of M = H*W, one per sample and channel, or as (N, C, M).

Each loop handles a range of rows or channels, so that threads can share the work and sums do not depend on how.

Depthwise steps: some samples of one channel lie one behind the other in a buffer, each with its border of zeros,
so that a convolution is one long loop whatever H and W are; what it computes across a border is thrown away. `taps`
is any tuple of K numbers: its length is known to the compiler, which unrolls the loops over K x K taps.
"""

from __future__ import annotations

import numpy as np
from numba import uintp

from ubn_sweep.nn.kernels.cpu.jit import compiled, inlined

CACHED_ELEMENTS = 4096
"""Of a sum of directions at a time, so that it stays in the innermost cache."""
BUFFER_ELEMENTS = 1024
"""Of a buffer of padded images, likewise: several small images share one."""
FEW = 8
"""Pixels in a row below which a table of places is faster than a loop over the row."""


@compiled
def moments(x, m, v, first, last):
    """m = mean(row), v = mean((row - m)**2), the first pass's rounding corrected by the second's."""
    M = m.dtype.type(x.shape[1])
    for i in range(first, last):
        row = x[i]
        total = m.dtype.type(0)
        for p in range(row.size):
            total += row[p]
        m_i = total / M
        rest = m.dtype.type(0)
        square = m.dtype.type(0)
        for p in range(row.size):
            d = row[p] - m_i
            rest += d
            square += d * d
        rest /= M
        m[i] = m_i + rest
        v[i] = square / M - rest * rest


@compiled
def add_directions(x, inverse_norm, u, first, last):
    """u[p] = sum_n x[n, p] * inverse_norm[n] for x (N, C*H*W), and the sum of u**2."""
    square = 0.0
    for start in range(first, last, CACHED_ELEMENTS):
        part = u[start : min(start + CACHED_ELEMENTS, last)]
        part[:] = 0
        for n in range(x.shape[0]):
            row = x[n, start : start + part.size]
            factor = inverse_norm[n]
            for p in range(part.size):
                part[p] += factor * row[p]
        norm = u.dtype.type(0)
        for p in range(part.size):
            norm += part[p] * part[p]
        square += norm
    return square


@compiled
def scale_shift(x, m, scale, shift, y, first, last):
    """y = (x - m) * scale + shift, each row with its own."""
    for i in range(first, last):
        row, out = x[i], y[i]
        m_i, scale_i, shift_i = m[i], scale[i], shift[i]
        for p in range(row.size):
            out[p] = (row[p] - m_i) * scale_i + shift_i


@compiled
def row_sums(g, x, m, S, D, first, last):
    """S = sum(g) and D = sum(g * (x - m)) of each row."""
    for i in range(first, last):
        g_i, row, m_i = g[i], x[i], m[i]
        S_i = S.dtype.type(0)
        D_i = S.dtype.type(0)
        for p in range(row.size):
            S_i += g_i[p]
            D_i += g_i[p] * (row[p] - m_i)
        S[i] = S_i
        D[i] = D_i


@compiled
def combine(g, x, m, g_mean, g_scale, x_scale, gx_mean, gx, first, last):
    """gx = (g - g_mean) * g_scale + (x - m) * x_scale + gx_mean; x_scale (C,), the others by row."""
    C = x_scale.size
    for i in range(first, last):
        g_i, row, out = g[i], x[i], gx[i]
        m_i, g_mean_i, g_scale_i = m[i], g_mean[i], g_scale[i]
        x_scale_i, gx_mean_i = x_scale[i % C], gx_mean[i]
        for p in range(row.size):
            out[p] = (g_i[p] - g_mean_i) * g_scale_i + (row[p] - m_i) * x_scale_i + gx_mean_i


@compiled
def combine_in_place(g, x, m, g_mean, g_scale, x_scale, gx_mean, first, last):
    """As `combine`, over g: one array less to tell apart, which vector code must do at run time."""
    C = x_scale.size
    for i in range(first, last):
        out, row = g[i], x[i]
        m_i, g_mean_i, g_scale_i = m[i], g_mean[i], g_scale[i]
        x_scale_i, gx_mean_i = x_scale[i % C], gx_mean[i]
        for p in range(row.size):
            out[p] = (out[p] - g_mean_i) * g_scale_i + (row[p] - m_i) * x_scale_i + gx_mean_i


@inlined
def _pad(image, W, m_i, scale_i, shift_i, places, start, padded):
    """(image - m_i) * scale_i + shift_i into the inside of the padded image at `start`; its border stays zero."""
    if W < FEW:
        for p in range(image.size):
            padded[uintp(start) + places[p]] = (image[p] - m_i) * scale_i + shift_i
    else:
        for h in range(image.size // W):
            at = start + places[h * W]
            for w in range(W):
                padded[uintp(at + w)] = (image[uintp(h * W + w)] - m_i) * scale_i + shift_i


@inlined
def _crop(padded, W, places, start, image):
    """The inside of the padded image at `start`."""
    if W < FEW:
        for p in range(image.size):
            image[p] = padded[uintp(start) + places[p]]
    else:
        for h in range(image.size // W):
            at = start + places[h * W]
            for w in range(W):
                image[uintp(h * W + w)] = padded[uintp(at + w)]


@inlined
def _places(H, W, radius):
    """(M,): where each pixel lies in a padded image."""
    places = np.empty(H * W, np.uintp)
    for h in range(H):
        for w in range(W):
            places[h * W + w] = (h + radius) * (W + 2 * radius) + radius + w
    return places


@compiled
def _convolve(padded, weight_c, bias_c, width, length, taps, out):
    """The result lies where its middle tap does."""
    K = len(taps)
    radius = K // 2
    middle = radius * (width + 1)
    for t in range(length - 2 * middle):
        value = bias_c
        for i in range(K):
            for j in range(K):
                value += weight_c[i * K + j] * padded[uintp(t + i * width + j)]
        out[uintp(t + middle)] = value


@compiled
def _correlate(inside, padded, width, length, taps, sums):
    """sums[i * K + j] += sum_t inside[t] * padded[t - (i - radius) * width - (j - radius)]."""
    K = len(taps)
    radius = K // 2
    middle = radius * (width + 1)
    pixels = inside[middle : length - middle]
    zero = padded.dtype.type(0)
    for i in range(K):
        row = padded[2 * middle - i * width - (K - 1) :]
        # Three taps in one pass over the pixels, then what is left.
        for j in range(0, K - K % 3, 3):
            left, mid, right = row[K - 3 - j :], row[K - 2 - j :], row[K - 1 - j :]
            by_left, by_mid, by_right = zero, zero, zero
            for t in range(pixels.size):
                by_left += pixels[t] * left[t]
                by_mid += pixels[t] * mid[t]
                by_right += pixels[t] * right[t]
            sums[i * K + j] += by_right
            sums[i * K + j + 1] += by_mid
            sums[i * K + j + 2] += by_left
        for j in range(K - K % 3, K):
            shifted = row[K - 1 - j :]
            total = zero
            for t in range(pixels.size):
                total += pixels[t] * shifted[t]
            sums[i * K + j] += total


@compiled
def depthwise_rectify(x, W, taps, m, scale, shift, weight, bias, y, first, last):
    """y = convolution of (x - m) * scale + shift; x, y (N, C, M), m, scale, shift (N, C), weight (C, K * K)."""
    radius = len(taps) // 2
    N, _, M = x.shape
    places = _places(M // W, W, radius)
    width = W + 2 * radius
    size = width * (M // W + 2 * radius)
    group = max(1, BUFFER_ELEMENTS // size)
    padded = np.zeros(group * size, x.dtype)
    out = np.empty(group * size, x.dtype)
    for start in range(0, N, group):
        count = min(group, N - start)
        for c in range(first, last):
            for i in range(count):
                n = start + i
                _pad(x[n, c], W, m[n, c], scale[n, c], shift[n, c], places, i * size, padded)
            _convolve(padded, weight[c], bias[c], width, count * size, taps, out)
            for i in range(count):
                _crop(out, W, places, i * size, y[start + i, c])


@compiled
def depthwise_reduce(gy, x, W, taps, m, scale, shift, weight, g, S, D, grad_weight, grad_bias, first, last):
    """g = gradient by x_cs = (x - m) * scale + shift, and its row_sums; adds the gradients by weight and bias."""
    radius = len(taps) // 2
    N, _, M = x.shape
    places = _places(M // W, W, radius)
    width = W + 2 * radius
    size = width * (M // W + 2 * radius)
    group = max(1, BUFFER_ELEMENTS // size)
    padded_x_cs = np.zeros(group * size, x.dtype)
    padded_gy = np.zeros(group * size, x.dtype)
    out = np.empty(group * size, x.dtype)
    flipped = weight[:, ::-1].copy()
    zero = x.dtype.type(0)
    one = x.dtype.type(1)
    for start in range(0, N, group):
        count = min(group, N - start)
        for c in range(first, last):
            for i in range(count):
                n = start + i
                _pad(x[n, c], W, m[n, c], scale[n, c], shift[n, c], places, i * size, padded_x_cs)
                _pad(gy[n, c], W, zero, one, zero, places, i * size, padded_gy)
            _convolve(padded_gy, flipped[c], zero, width, count * size, taps, out)
            _correlate(padded_x_cs, padded_gy, width, count * size, taps, grad_weight[c])
            sum_gy = zero
            for t in range(count * size):
                sum_gy += padded_gy[t]
            grad_bias[c] += sum_gy
            for i in range(count):
                n = start + i
                _crop(out, W, places, i * size, g[n, c])
                g_i, row, m_i = g[n, c], x[n, c], m[n, c]
                S_i = zero
                D_i = zero
                for p in range(M):
                    S_i += g_i[p]
                    D_i += g_i[p] * (row[p] - m_i)
                S[n, c] = S_i
                D[n, c] = D_i
