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
        for k in range(row.size):
            total += row[k]
        mean = total / M
        rest = m.dtype.type(0)
        square = m.dtype.type(0)
        for k in range(row.size):
            d = row[k] - mean
            rest += d
            square += d * d
        rest /= M
        m[i] = mean + rest
        v[i] = square / M - rest * rest


@compiled
def add_directions(x, inverse_norm, u, first, last):
    """u[k] = sum_n x[n, k] * inverse_norm[n] for x (N, K), and the sum of u**2."""
    square = 0.0
    for start in range(first, last, CACHED_ELEMENTS):
        part = u[start : min(start + CACHED_ELEMENTS, last)]
        part[:] = 0
        for n in range(x.shape[0]):
            row = x[n, start : start + part.size]
            factor = inverse_norm[n]
            for k in range(part.size):
                part[k] += factor * row[k]
        norm = u.dtype.type(0)
        for k in range(part.size):
            norm += part[k] * part[k]
        square += norm
    return square


@compiled
def scale_shift(x, m, scale, shift, y, first, last):
    """y = (x - m) * scale + shift, each row with its own."""
    for i in range(first, last):
        row, out = x[i], y[i]
        mean, a, b = m[i], scale[i], shift[i]
        for k in range(row.size):
            out[k] = (row[k] - mean) * a + b


@compiled
def row_sums(g, x, m, total, product, first, last):
    """sum(g) and sum(g * (x - m)) of each row."""
    for i in range(first, last):
        gradient, row, mean = g[i], x[i], m[i]
        plain = total.dtype.type(0)
        weighted = total.dtype.type(0)
        for k in range(row.size):
            plain += gradient[k]
            weighted += gradient[k] * (row[k] - mean)
        total[i] = plain
        product[i] = weighted


@compiled
def combine(g, x, m, g_pivot, g_scale, x_scale, shift, gx, first, last):
    """gx = (g - g_pivot) * g_scale + (x - m) * x_scale + shift; x_scale (C,), the others by row."""
    C = x_scale.size
    for i in range(first, last):
        gradient, row, out = g[i], x[i], gx[i]
        pivot, a, mean, b, c = g_pivot[i], g_scale[i], m[i], x_scale[i % C], shift[i]
        for k in range(row.size):
            out[k] = (gradient[k] - pivot) * a + (row[k] - mean) * b + c


@compiled
def combine_in_place(g, x, m, g_pivot, g_scale, x_scale, shift, first, last):
    """As `combine`, over g: one array less to tell apart, which vector code must do at run time."""
    C = x_scale.size
    for i in range(first, last):
        out, row = g[i], x[i]
        pivot, a, mean, b, c = g_pivot[i], g_scale[i], m[i], x_scale[i % C], shift[i]
        for k in range(row.size):
            out[k] = (out[k] - pivot) * a + (row[k] - mean) * b + c


@inlined
def _pad(image, W, mean, scale, shift, places, start, padded):
    """(image - mean) * scale + shift into the inside of the padded image at `start`; its border stays zero."""
    if W < FEW:
        for k in range(image.size):
            padded[uintp(start) + places[k]] = (image[k] - mean) * scale + shift
    else:
        for h in range(image.size // W):
            at = start + places[h * W]
            for k in range(W):
                padded[uintp(at + k)] = (image[uintp(h * W + k)] - mean) * scale + shift


@inlined
def _crop(padded, W, places, start, image):
    """The inside of the padded image at `start`."""
    if W < FEW:
        for k in range(image.size):
            image[k] = padded[uintp(start) + places[k]]
    else:
        for h in range(image.size // W):
            at = start + places[h * W]
            for k in range(W):
                image[uintp(h * W + k)] = padded[uintp(at + k)]


@inlined
def _places(H, W, radius):
    """(M,): where each pixel lies in a padded image."""
    places = np.empty(H * W, np.uintp)
    for h in range(H):
        for w in range(W):
            places[h * W + w] = (h + radius) * (W + 2 * radius) + radius + w
    return places


@compiled
def _convolve(padded, weight, bias, width, length, taps, out):
    """The result lies where its middle tap does."""
    K = len(taps)
    radius = K // 2
    middle = radius * (width + 1)
    for t in range(length - 2 * middle):
        value = bias
        for i in range(K):
            for j in range(K):
                value += weight[i * K + j] * padded[uintp(t + i * width + j)]
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
def depthwise_reduce(
    gy, x, W, taps, m, scale, shift, weight, g, total, product, by_weight, by_bias, first, last
):
    """g = gradient by x_cs = (x - m) * scale + shift, and its row_sums; adds the gradients by weight and bias."""
    radius = len(taps) // 2
    N, _, M = x.shape
    places = _places(M // W, W, radius)
    width = W + 2 * radius
    size = width * (M // W + 2 * radius)
    group = max(1, BUFFER_ELEMENTS // size)
    padded_x = np.zeros(group * size, x.dtype)
    padded_g = np.zeros(group * size, x.dtype)
    out = np.empty(group * size, x.dtype)
    flipped = weight[:, ::-1].copy()
    zero = x.dtype.type(0)
    one = x.dtype.type(1)
    for start in range(0, N, group):
        count = min(group, N - start)
        for c in range(first, last):
            for i in range(count):
                n = start + i
                _pad(x[n, c], W, m[n, c], scale[n, c], shift[n, c], places, i * size, padded_x)
                _pad(gy[n, c], W, zero, one, zero, places, i * size, padded_g)
            _convolve(padded_g, flipped[c], zero, width, count * size, taps, out)
            _correlate(padded_x, padded_g, width, count * size, taps, by_weight[c])
            outer = zero
            for t in range(count * size):
                outer += padded_g[t]
            by_bias[c] += outer
            for i in range(count):
                n = start + i
                _crop(out, W, places, i * size, g[n, c])
                gradient, row, mean = g[n, c], x[n, c], m[n, c]
                plain = zero
                weighted = zero
                for k in range(M):
                    plain += gradient[k]
                    weighted += gradient[k] * (row[k] - mean)
                total[n, c] = plain
                product[n, c] = weighted
