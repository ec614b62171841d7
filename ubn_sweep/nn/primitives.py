"""The passes over the data, each in the operation that measured fastest for the layout.

Contiguous data on a CPU: PyTorch's batch normalization kernels, fed one "channel" per sample and channel, are
its fastest vectorized scale-and-shift and its fastest pair of row sums (`addcmul` with two broadcast operands
takes three times as long, `torch.var_mean` over H, W thirty times). Any other layout, device or a compiler:
elementwise operations and reductions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Float

aten = torch.ops.aten
HALF = (torch.float16, torch.bfloat16)


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


def spatial_mean(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C"]:
    if has_rows(x):
        N, C, H, W = x.shape
        if H * W <= 64:
            # Inner reductions of a few elements cost more than the data; BLAS does not mind.
            return torch.mv(x.view(N * C, H * W), x.new_full((H * W,), 1.0 / (H * W))).view(N, C)
    return x.mean((2, 3), dtype=accumulation_dtype(x))


def moments(x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    m = spatial_mean(x)
    centered = x - spatial(m)
    if has_rows(x):
        norm = torch.linalg.vector_norm(centered, dim=(2, 3))
        return m, norm.square_().div_(x.shape[2] * x.shape[3])
    return m, centered.square_().mean((2, 3))


def sum_of_directions(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], v: Float[Tensor, "N C"]
) -> tuple[Float[Tensor, " K"], Float[Tensor, ""]]:
    """u = sum_i x_i / |x_i| and the number of samples that are not zero; K = C*H*W in the order of memory."""
    M = x.shape[2] * x.shape[3]
    squared_norm = torch.addcmul(v, m, m).sum(1).mul_(M)
    inverse_norm = torch.where(squared_norm > 0, torch.rsqrt(squared_norm), 0.0)
    # inf * 0 is nan: a sample that is not finite makes the similarity not finite
    inverse_norm = inverse_norm + squared_norm * 0
    flat = (x if x.is_contiguous() else x.permute(0, 2, 3, 1)).reshape(x.shape[0], -1)
    nonzero = (squared_norm > 0).sum().to(m.dtype)
    return torch.mv(flat.to(m.dtype).t(), inverse_norm), nonzero


def scale_shift(
    x: Float[Tensor, "N C H W"],
    pivot: Float[Tensor, "N C"],
    scale: Float[Tensor, "N C"],
    shift: Float[Tensor, "N C"],
) -> Float[Tensor, "N C H W"]:
    """(x - pivot) * scale + shift, in the type and layout of x."""
    if has_rows(x):
        N, C, H, W = x.shape
        rows = x.view(1, N * C, H, W)
        one = scale.new_ones(N * C)
        y = torch.native_batch_norm(
            rows,
            scale.reshape(-1),
            shift.reshape(-1),
            pivot.reshape(-1),
            one,
            False,
            0.0,
            0.0,
        )[0]
        return y.view(N, C, H, W)
    shift = torch.addcmul(shift, pivot, scale, value=-1)
    if x.dtype == shift.dtype or torch.compiler.is_compiling():
        return torch.addcmul(spatial(shift), x, spatial(scale)).to(x.dtype)
    return torch.addcmul(spatial(shift), x, spatial(scale), out=torch.empty_like(x))


def row_sums(
    g: Float[Tensor, "N C H W"], x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"]
) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    """sum_hw(g) and sum_hw(g * (x - m))."""
    if has_rows(x) and has_rows(g):
        N, C, H, W = x.shape
        one = m.new_ones(N * C)
        _, product, total = aten.native_batch_norm_backward(
            g.view(1, N * C, H, W),
            x.view(1, N * C, H, W),
            one,
            m.reshape(-1),
            one,
            None,
            None,
            False,
            0.0,
            [False, True, True],
        )
        return total.view(N, C), product.view(N, C)
    dtype = accumulation_dtype(x)
    total = g.sum((2, 3), dtype=dtype)
    return total, ((x - spatial(m)) * g).sum((2, 3), dtype=dtype)


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
    shift = torch.addcmul(shift, g_pivot, g_scale, value=-1)
    first = torch.addcmul(spatial(shift), g, spatial(g_scale))
    return torch.addcmul(first, x, spatial(x_scale)).to(x.dtype)


def like(g: Tensor, x: Float[Tensor, "N C H W"]) -> Tensor:
    """g in the layout of x: what reaches a backward pass may be expanded or permuted."""
    if g.stride() == x.stride():
        return g
    channels_last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return g.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def channel_sum(x: Float[Tensor, "N C H W"]) -> Float[Tensor, " C"]:
    return spatial_mean(x).sum(0).mul_(x.shape[2] * x.shape[3])


def depthwise(
    x: Float[Tensor, "N C H W"], weight: Float[Tensor, "C 1 k k"], bias: Float[Tensor, " C"] | None
) -> Float[Tensor, "N C H W"]:
    """Depthwise convolution, zero padding, in the type of x, whatever autocast says."""
    cast_bias = None if bias is None else bias.to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        return torch.conv2d(
            x, weight.to(x.dtype), cast_bias, padding=weight.shape[-1] // 2, groups=x.shape[1]
        )


def depthwise_backward(
    gy: Float[Tensor, "N C H W"], x: Float[Tensor, "N C H W"], weight: Float[Tensor, "C 1 k k"]
) -> tuple[Float[Tensor, "N C H W"], Float[Tensor, "C 1 k k"]]:
    padding = [weight.shape[-1] // 2] * 2
    arguments = (gy, x, weight.to(x.dtype), None, [1, 1], padding, [1, 1], False, [0, 0], x.shape[1])
    gx, gw, _ = aten.convolution_backward(*arguments, [True, True, False])
    return gx, gw.to(weight.dtype)
