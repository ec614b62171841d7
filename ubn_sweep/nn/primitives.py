"""The passes over the data, each in the operation that measured fastest for the layout.

Contiguous data on a CPU: PyTorch's batch normalization kernels, fed one "channel" per sample and channel, are
its fastest vectorized scale-and-shift and its fastest pair of row sums (`addcmul` with two broadcast operands
takes three times as long, `torch.var_mean` over H, W thirty times). Any other layout, device or a compiler:
elementwise operations and reductions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Float

aten = torch.ops.aten
HALF = (torch.float16, torch.bfloat16)
FEW = 64
WHOLE_BYTES = 1 << 20
BLOCK_BYTES = 1 << 20


def accumulation_dtype(x: Tensor) -> torch.dtype:
    """float32 for half precision, else the type of x."""
    return torch.float32 if x.dtype in HALF else x.dtype


def has_rows(x: Tensor) -> bool:
    """Whether the kernels that see x as N * C contiguous rows of H * W apply."""
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and x.is_contiguous()
        and x.dtype not in HALF
        and x.numel() > 0
    )


def spatial(values: Tensor) -> Tensor:
    """(N, C) or (C,) as something that broadcasts against (N, C, H, W)."""
    return values[..., None, None]


def blocks(
    x: Float[Tensor, "N C H W"], whole_bytes: int = WHOLE_BYTES, block_bytes: int = BLOCK_BYTES
) -> list[slice]:
    """Ranges of samples whose data stay in the cache from one operation to the next; one where that is moot."""
    N = x.shape[0]
    if x.device.type != "cpu" or torch.compiler.is_compiling() or x.numel() * x.element_size() <= whole_bytes:
        return [slice(0, N)]
    size = max(1, block_bytes * torch.get_num_threads() * N // (x.numel() * x.element_size()))
    return [slice(start, min(start + size, N)) for start in range(0, N, size)]


def spatial_mean(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C"]:
    if has_rows(x):
        N, C, H, W = x.shape
        if H * W <= FEW:
            # Inner reductions of a few elements cost more than the data; BLAS does not mind.
            return torch.mv(x.view(N * C, H * W), x.new_full((H * W,), 1.0 / (H * W))).view(N, C)
    return x.mean((2, 3), dtype=accumulation_dtype(x))


def moments(x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    parts = [_moments_of_block(x[block]) for block in blocks(x)]
    if len(parts) == 1:
        return parts[0]
    means, variances = zip(*parts, strict=True)
    return torch.cat(means), torch.cat(variances)


def _moments_of_block(x: Tensor) -> tuple[Tensor, Tensor]:
    m = spatial_mean(x)
    centered = x - spatial(m)
    M = x.shape[2] * x.shape[3]
    if has_rows(x) and M > FEW:
        return m, torch.linalg.vector_norm(centered, dim=(2, 3)).square_().div_(M)
    return m, spatial_mean(centered.mul_(centered))


def sum_of_directions(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], v: Float[Tensor, "N C"]
) -> tuple[Float[Tensor, " K"], Float[Tensor, ""]]:
    """u = sum_i x_i / |x_i| and the number of samples that are not zero; K = C*H*W in the order of memory."""
    squared_norm = torch.addcmul(v, m, m).sum(1).mul_(x.shape[2] * x.shape[3])
    zero = squared_norm == 0
    # inf / inf, rather than rsqrt's zero, so that a sample that is not finite shows in the similarity.
    inverse_norm = squared_norm.sqrt().div_(squared_norm).masked_fill_(zero, 0.0)
    flat = (x if x.is_contiguous() else x.permute(0, 2, 3, 1)).reshape(x.shape[0], -1)
    return torch.mv(flat.to(m.dtype).t(), inverse_norm), (x.shape[0] - zero.sum()).to(m.dtype)


def scale_shift(
    x: Float[Tensor, "N C H W"],
    pivot: Float[Tensor, "N C"],
    scale: Float[Tensor, "N C"],
    shift: Float[Tensor, "N C"],
) -> Float[Tensor, "N C H W"]:
    """(x - pivot) * scale + shift, in the type and layout of x."""
    if has_rows(x) and x.shape[2] * x.shape[3] > FEW:
        N, C, H, W = x.shape
        constants = (scale.reshape(-1), shift.reshape(-1), pivot.reshape(-1), scale.new_ones(N * C))
        y = torch.native_batch_norm(x.view(1, N * C, H, W), *constants, False, 0.0, 0.0)[0]
        # A plain view may not be modified in place by what follows the layer, as nn.ReLU(inplace=True) does.
        return aten._unsafe_view(y, x.shape)
    shift = torch.addcmul(shift, pivot, scale, value=-1)
    if has_rows(x):
        return torch.mul(x, spatial(scale)).add_(spatial(shift))
    if x.dtype == shift.dtype or torch.compiler.is_compiling():
        return torch.addcmul(spatial(shift), x, spatial(scale)).to(x.dtype)
    return torch.addcmul(spatial(shift), x, spatial(scale), out=torch.empty_like(x))


def row_sums(
    g: Float[Tensor, "N C H W"], x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"]
) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    """sum_hw(g) and sum_hw(g * (x - m))."""
    if has_rows(x) and has_rows(g):
        N, C, H, W = x.shape
        mean, one = m.reshape(-1), m.new_ones(N * C)
        if H * W <= FEW:
            rows = (g.view(1, N * C, -1), x.view(1, N * C, -1), mean.view(1, -1), one.view(1, -1), None)
            _, product, total = aten.native_group_norm_backward(
                *rows, 1, N * C, H * W, N * C, [False, True, True]
            )
        else:
            images = (g.view(1, N * C, H, W), x.view(1, N * C, H, W))
            _, product, total = aten.native_batch_norm_backward(
                *images, one, mean, one, None, None, False, 0.0, [False, True, True]
            )
        return total.view(N, C), product.view(N, C)
    dtype = accumulation_dtype(x)
    total = g.sum((2, 3), dtype=dtype)
    parts = [((x[b] - spatial(m[b])) * g[b]).sum((2, 3), dtype=dtype) for b in blocks(x)]
    return total, parts[0] if len(parts) == 1 else torch.cat(parts)


def combine(
    g: Float[Tensor, "N C H W"],
    g_pivot: Float[Tensor, "N C"],
    g_scale: Float[Tensor, "N C"],
    x: Float[Tensor, "N C H W"],
    x_pivot: Float[Tensor, "N C"],
    x_scale: Float[Tensor, " C"],
    shift: Float[Tensor, "N C"],
) -> Float[Tensor, "N C H W"]:
    """(g - g_pivot) * g_scale + (x - x_pivot) * x_scale + shift, in the type and layout of x."""
    shift = torch.addcmul(shift, x_pivot, x_scale, value=-1)
    if has_rows(x) and has_rows(g):
        return scale_shift(g, g_pivot, g_scale, shift).addcmul_(x, spatial(x_scale))
    shift = spatial(torch.addcmul(shift, g_pivot, g_scale, value=-1))
    g_scale, x_scale = spatial(g_scale), spatial(x_scale)
    if x.dtype in HALF or torch.compiler.is_compiling():
        return torch.addcmul(torch.addcmul(shift, g, g_scale), x, x_scale).to(x.dtype)
    gx = torch.empty_like(x)
    for b in blocks(x):
        torch.addcmul(shift[b], g[b], g_scale[b], out=gx[b]).addcmul_(x[b], x_scale)
    return gx


def like(g: Tensor, x: Float[Tensor, "N C H W"]) -> Tensor:
    """g in the layout of x: what reaches a backward pass may be expanded or permuted."""
    if g.stride() == x.stride():
        return g
    channels_last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return g.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def channel_sum(x: Float[Tensor, "N C H W"]) -> Float[Tensor, " C"]:
    return spatial_mean(x).sum(0).mul_(x.shape[2] * x.shape[3])


def depthwise(
    x: Float[Tensor, "N C H W"],
    normalize: Callable[[Tensor, slice], Tensor],
    weight: Float[Tensor, "C 1 k k"],
    bias: Float[Tensor, " C"] | None,
) -> Float[Tensor, "N C H W"]:
    """Depthwise convolution of normalize(x), zero padding, in the type of x, whatever autocast says.

    Block by block of samples, so that normalize(x) never leaves the cache, nor do oneDNN's reordered copies: at
    (64, 64, 32, 32) that is six times as fast as in one go.
    """
    parts = blocks(x, whole_bytes=2 * WHOLE_BYTES, block_bytes=2 * BLOCK_BYTES)
    if len(parts) == 1:
        return _convolve(normalize(x, parts[0]), weight, bias)
    y = torch.empty_like(x)
    for block in parts:
        y[block].copy_(_convolve(normalize(x[block], block), weight, bias))
    return y


def depthwise_backward(
    gy: Float[Tensor, "N C H W"],
    x: Float[Tensor, "N C H W"],
    normalize: Callable[[Tensor, slice], Tensor],
    weight: Float[Tensor, "C 1 k k"],
    m: Float[Tensor, "N C"],
) -> tuple[
    Float[Tensor, "N C H W"], Float[Tensor, "C 1 k k"], tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]
]:
    """Gradients g by normalize(x), which is computed again, and by weight; and row_sums(g, x, m)."""
    parts = blocks(x, whole_bytes=2 * WHOLE_BYTES, block_bytes=2 * BLOCK_BYTES)
    if len(parts) == 1:
        gx, gw = _convolve_backward(gy, normalize(x, parts[0]), weight)
        gx = like(gx, x)
        return gx, gw, row_sums(gx, x, m)
    gx = torch.empty_like(x)
    gw = torch.zeros_like(weight)
    totals, products = [], []
    for block in parts:
        gx_block, gw_block = _convolve_backward(gy[block], normalize(x[block], block), weight)
        gw += gw_block
        # While the block is in the cache.
        total, product = row_sums(like(gx_block, x), x[block], m[block])
        totals.append(total)
        products.append(product)
        gx[block].copy_(gx_block)
    return gx, gw, (torch.cat(totals), torch.cat(products))


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    bias = None if bias is None else bias.to(x.dtype)
    without_autocast = nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
    with without_autocast:
        return torch.conv2d(x, weight.to(x.dtype), bias, padding=weight.shape[-1] // 2, groups=x.shape[1])


def _convolve_backward(gy: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    padding = [weight.shape[-1] // 2] * 2
    arguments = (gy, x, weight.to(x.dtype), None, [1, 1], padding, [1, 1], False, [0, 0], x.shape[1])
    gx, gw, _ = aten.convolution_backward(*arguments, [True, True, False])
    return gx, gw.to(weight.dtype)
