"""The mathematics of unified batch normalization: tensors in, tensors out, no state.

Shapes: x is (N, C, H, W), M = H*W. Everything between x and the affine step depends on x through two small
moments, so the layer is one scale and one shift per sample and channel (docs/layer.md derives it).
Source: arXiv 2311.15993, section 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ubn_sweep.nn import autograd
from ubn_sweep.nn.kernels import kernels_for, plain
from ubn_sweep.nn.kernels.interface import Rectifiers, Statistics

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Float

__all__ = ["Statistics", "batch_statistics", "mean_cosine_similarity", "moments", "unified_batch_norm"]


def moments(x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    """m = mean_hw(x) and v = mean_hw((x - m)**2), both (N, C), in float32 or wider.

    About m, so nothing cancels where the mean is far above the spread. No gradient.
    """
    with torch.no_grad():
        return kernels_for(x).moments(x.detach())


def batch_statistics(
    m: Float[Tensor, "N C"], v: Float[Tensor, "N C"], center_weight: Float[Tensor, " C"] | None
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Mean and biased variance over the batch of x_c = x + w_m * m, by the law of total variance:

    mean = (1 + w_m) * mean_n(m),    var = mean_n(v) + (1 + w_m)**2 * var_n(m)
    """
    with torch.no_grad():
        return plain.batch_statistics(m, v, None if center_weight is None else center_weight.to(m.dtype))


def mean_cosine_similarity(
    x: Float[Tensor, "N C H W"],
    m: Float[Tensor, "N C"] | None = None,
    v: Float[Tensor, "N C"] | None = None,
) -> Float[Tensor, ""]:
    """c(x) = mean over pairs i != j of cos(x_i, x_j), as (|u|**2 - nonzero) / (N * (N - 1)), u = sum_i x_i / |x_i|.

    A sample that is all zeros has cosine 0 with every other; nonzero: the number of samples that are not.
    m, v: the moments of x, if known.
    Raises: ValueError for N < 2, where there is no pair. No gradient. Source: section 3.2.
    """
    if x.shape[0] < 2:
        raise ValueError(f"`N >= 2` must hold for a similarity between samples, but got {x.shape[0]}")
    with torch.no_grad():
        x = x.detach()
        if m is None or v is None:
            m, v = kernels_for(x).moments(x)
        return kernels_for(x).similarity(x, m, v)


def unified_batch_norm(
    x: Float[Tensor, "N C H W"],
    statistics: Statistics | None = None,
    *,
    center_weight: Float[Tensor, " C"] | None = None,
    scale_weight: Float[Tensor, " C"] | None = None,
    scale_bias: Float[Tensor, " C"] | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    instance_scaling: bool = False,
    eps: float = 1e-5,
    m: Float[Tensor, "N C"] | None = None,
) -> Float[Tensor, "N C H W"]:
    """y = affine((x + w_m * m - mean) * rstd * sigmoid(w_v * k + w_b)),  rstd = (var + eps)**-0.5

    w_m, w_v, w_b are center_weight, scale_weight, scale_bias. k is the mean over H, W of the normalized x_c, or
    with `instance_scaling` m itself (IEBN). Each of the three steps is left out where its parameters are None.

    Args: statistics: what to normalize with; None takes the batch's own, with eps.
        weight: (C,) or, per sample, (N, C): pointwise; (C, 1, K, K) with odd K: depthwise convolution of the
        normalized x with zero padding. bias: (C,), or (N, C) with such a weight.
        m: the mean of x over H, W, if known.
    Raises: ValueError where the batch's statistics are asked of one value per channel.
    Source: arXiv 2311.15993, sections 3.3.2 and 3.3.3.
    """
    if statistics is None:
        check_batch(x)
        m, v = moments(x)
        mean, var = batch_statistics(m, v, center_weight)
        statistics = Statistics(mean, torch.rsqrt(var + eps), 1.0, float(x.numel() // x.shape[1]))
    rectifiers = Rectifiers(center_weight, scale_weight, scale_bias, weight, bias, instance_scaling)
    if torch.compiler.is_exporting():
        return _composite(x, plain.spatial_mean(x) if m is None else m, statistics, rectifiers)
    m = plain.spatial_mean(x.detach()) if m is None else m
    return autograd.rectify(x, m, statistics, rectifiers)


def check_batch(x: Float[Tensor, "N C H W"]) -> None:
    """Raises: ValueError, as nn.BatchNorm2d, where a channel has a single value and so no spread."""
    if x.numel() // x.shape[1] < 2:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.shape}")


def _composite(x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers) -> Tensor:
    """The same formula in plain operations, with the statistics as constants: what export traces."""
    rstd = statistics.rstd.to(m.dtype)
    w_m = m.new_zeros(()) if R.w_m is None else R.w_m
    scale = rstd.expand_as(m)
    constant = (w_m * m - statistics.mean) * rstd
    if R.w_v is not None and R.w_b is not None:
        k = m if R.instance_scaling else torch.addcmul(constant, m, rstd)
        r = torch.sigmoid(R.w_v * k + R.w_b)
        scale, constant = scale * r, constant * r
    weight, bias = R.pointwise
    if weight is not None:
        scale, constant = scale * weight, constant * weight
        constant = constant if bias is None else constant + bias
    y = (x * plain.spatial(scale) + plain.spatial(constant)).to(x.dtype)
    if R.weight is not None and R.depthwise:
        cast_bias = None if R.bias is None else R.bias.to(x.dtype)
        padding = R.weight.shape[-1] // 2
        y = F.conv2d(y, R.weight.to(x.dtype), cast_bias, padding=padding, groups=x.shape[1])
    return y
