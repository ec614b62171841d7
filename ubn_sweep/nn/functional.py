"""The mathematics of unified batch normalization: tensors in, tensors out, no state.

Shapes: x is (N, C, H, W), M = H*W. Everything between x and the affine step depends on x through two small
moments, so the layer is one scale and one shift per sample and channel (docs/layer.md derives it).
Source: arXiv 2311.15993, section 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ubn_sweep.nn import primitives
from ubn_sweep.nn.autograd import normalize, normalize_and_convolve

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from ubn_sweep.nn.shapes import Float

__all__ = ["Statistics", "batch_statistics", "mean_cosine_similarity", "moments", "unified_batch_norm"]


class Statistics(NamedTuple):
    """What x_c = x + w_m * m is normalized with.

    mean (C,), var (C,): of x_c, biased. flow (): 1 where they are the batch's own, so that gradients flow
    through them, 0 where they are constants. A Python float says so before the graph is built.
    elements: per channel that the statistics average over, over all replicas that share them.
    """

    mean: Tensor
    var: Tensor
    flow: Tensor | float
    elements: Tensor | float
    group: ProcessGroup | None = None


def moments(x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    """m = mean_hw(x) and v = mean_hw((x - m)**2), both (N, C), in float32 or wider.

    Two passes, so nothing cancels where the mean is far above the spread. No gradient.
    """
    with torch.no_grad():
        return primitives.moments(x.detach())


def batch_statistics(
    m: Float[Tensor, "N C"], v: Float[Tensor, "N C"], center_weight: Float[Tensor, " C"] | None
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Mean and biased variance over the batch of x_c = x + w_m * m, by the law of total variance:

    mean = (1 + w_m) * mean_n(m),    var = mean_n(v) + (1 + w_m)**2 * var_n(m)
    """
    with torch.no_grad():
        mean = m.mean(0)
        between = (m - mean).square_().mean(0)
        within = v.mean(0)
        if center_weight is None:
            return mean, within + between
        gain = center_weight.to(m.dtype) + 1
        return gain * mean, torch.addcmul(within, gain * gain, between)


def mean_cosine_similarity(
    x: Float[Tensor, "N C H W"],
    m: Float[Tensor, "N C"] | None = None,
    v: Float[Tensor, "N C"] | None = None,
) -> Float[Tensor, ""]:
    """c(x) = mean over pairs i != j of cos(x_i, x_j), as (|u|**2 - N) / (N * (N - 1)), u = sum_i x_i / |x_i|.

    A sample that is all zeros has cosine 0 with every other. m, v: the moments of x, if known.
    Raises: ValueError for N < 2, where there is no pair. No gradient. Source: section 3.2.
    """
    if x.shape[0] < 2:
        raise ValueError(f"`N >= 2` must hold for a similarity between samples, but got {x.shape[0]}")
    with torch.no_grad():
        x = x.detach()
        if m is None or v is None:
            m, v = primitives.moments(x)
        direction, nonzero = primitives.sum_of_directions(x, m, v)
        return similarity_of(direction, nonzero, x.shape[0])


def similarity_of(
    direction: Float[Tensor, " K"], nonzero: Float[Tensor, ""], samples: Tensor | int
) -> Float[Tensor, ""]:
    """c from u = sum_i x_i / |x_i|, the number of samples with |x_i| > 0, and the number of samples."""
    return (direction.dot(direction) - nonzero) / (samples * (samples - 1))


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
    instance: tuple[Tensor, Tensor] | None = None,
) -> Float[Tensor, "N C H W"]:
    """y = affine((x + w_m * m - mean) * rstd * sigmoid(w_v * k + w_b)),  rstd = (var + eps)**-0.5

    k is the mean over H, W of the normalized x_c, or with `instance_scaling` m itself (IEBN). Each of the
    three steps is left out where its parameters are None.

    Args: statistics: what to normalize with; None takes the batch's own.
        weight: (C,) or, per sample, (N, C): pointwise; (C, 1, k, k) with odd k: depthwise convolution of the
        normalized x with zero padding. bias: (C,), or (N, C) with such a weight.
        instance: (m, v) of x, both (N, C), if known.
    Raises: ValueError where the batch's statistics are asked of one value per channel.
    Source: arXiv 2311.15993, sections 3.3.2 and 3.3.3.
    """
    if statistics is None:
        check_batch(x)
        instance = moments(x) if instance is None else instance
        mean, var = batch_statistics(*instance, center_weight)
        statistics = Statistics(mean, var, 1.0, float(x.numel() // x.shape[1]))
    if instance is not None:
        m = instance[0]
    elif torch.compiler.is_exporting():
        m = x.mean((2, 3), dtype=primitives.accumulation_dtype(x))
    elif center_weight is not None or scale_weight is not None or isinstance(statistics.flow, Tensor | float):
        m = primitives.spatial_mean(x.detach())
    arguments = (x, m, statistics, center_weight, scale_weight, scale_bias)
    if torch.compiler.is_exporting():
        return _composite(*arguments, weight, bias, instance_scaling, eps)
    if weight is not None and weight.dim() == 4:
        return normalize_and_convolve(*arguments, weight, bias, instance_scaling, eps)
    return normalize(*arguments, weight, bias, instance_scaling, eps)


def check_batch(x: Float[Tensor, "N C H W"]) -> None:
    """Raises: ValueError, as nn.BatchNorm2d, where a channel has a single value and so no spread."""
    if x.numel() // x.shape[1] < 2:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.shape}")


def _composite(
    x: Tensor,
    m: Tensor,
    statistics: Statistics,
    center_weight: Tensor | None,
    scale_weight: Tensor | None,
    scale_bias: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    instance_scaling: bool,
    eps: float,
) -> Tensor:
    """The same formula in plain operations, with the statistics as constants: what export traces."""
    rstd = torch.rsqrt(statistics.var.to(m.dtype) + eps)
    center = m.new_zeros(()) if center_weight is None else center_weight
    gain = rstd.expand_as(m)
    offset = (center * m - statistics.mean) * rstd
    if scale_weight is not None and scale_bias is not None:
        k = m if instance_scaling else torch.addcmul(offset, m, rstd)
        ratio = torch.sigmoid(scale_weight * k + scale_bias)
        gain, offset = gain * ratio, offset * ratio
    if weight is not None and weight.dim() < 4:
        gain, offset = gain * weight, offset * weight
        offset = offset if bias is None else offset + bias
    y = (x * gain[:, :, None, None] + offset[:, :, None, None]).to(x.dtype)
    if weight is not None and weight.dim() == 4:
        cast_bias = None if bias is None else bias.to(x.dtype)
        y = F.conv2d(y, weight.to(x.dtype), cast_bias, padding=weight.shape[-1] // 2, groups=x.shape[1])
    return y
