"""The kernels in plain PyTorch: any device, layout and type, under a compiler too. The others must equal these.

Shapes: x, y, g (N, C, H, W), M = H*W; docs/layer.md has the names of the formulas and derives them.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ubn_sweep.nn.kernels.interface import Coefficients, Gradients, Rectifiers, Statistics, Sums
from ubn_sweep.nn.kernels.settling import batch_statistics as batch_statistics
from ubn_sweep.nn.kernels.settling import settle as settle
from ubn_sweep.nn.kernels.settling import settle_with as settle_with
from ubn_sweep.nn.replicas import sum_over_replicas

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Float

HALF = (torch.float16, torch.bfloat16)


def accumulation_dtype(x: Tensor) -> torch.dtype:
    """float32 for half precision, else the type of x."""
    return torch.float32 if x.dtype in HALF else x.dtype


def spatial(values: Tensor) -> Tensor:
    """(N, C) or (C,) as something that broadcasts against (N, C, H, W)."""
    return values[..., None, None]


def spatial_mean(x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C"]:
    return x.mean((2, 3), dtype=accumulation_dtype(x))


def moments(x: Float[Tensor, "N C H W"]) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N C"]]:
    """m = mean_hw(x) and v = mean_hw((x - m)**2), in float32 or wider.

    About m, so that nothing cancels where the mean is far above the spread.
    """
    m = spatial_mean(x)
    return m, (x - spatial(m)).square().mean((2, 3))


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


def similarity_of(
    direction: Float[Tensor, " K"], nonzero: Float[Tensor, ""], samples: Tensor | int
) -> Float[Tensor, ""]:
    """c from u = sum_i x_i / |x_i|, the number of samples with |x_i| > 0, and the number of samples."""
    return (direction.dot(direction) - nonzero) / (samples * (samples - 1))


def similarity(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], v: Float[Tensor, "N C"]
) -> Float[Tensor, ""]:
    """c(x) = mean over pairs i != j of cos(x_i, x_j) = (|u|**2 - N) / (N * (N - 1)); N >= 2."""
    return similarity_of(*sum_of_directions(x, m, v), x.shape[0])


def _times(left: Tensor, right: Tensor | None) -> Tensor:
    return left if right is None else left * right


def normalized_mean(
    m: Float[Tensor, "N C"], statistics: Statistics, center: Float[Tensor, " C"] | None
) -> Float[Tensor, "N C"]:
    """z = ((1 + w_m) * m - mean) * rstd: the mean over H, W of the normalized x_c."""
    mean, rstd = statistics.mean, statistics.rstd
    slope = rstd if center is None else torch.addcmul(rstd, center, rstd)
    return torch.addcmul(-(mean * rstd), m, slope)


def scaling_ratio(
    m: Float[Tensor, "N C"], z: Float[Tensor, "N C"], R: Rectifiers
) -> Float[Tensor, "N C"] | None:
    """r = sigmoid(w_v * k + w_b)."""
    if R.scale is None:
        return None
    assert R.scale_bias is not None
    return torch.addcmul(R.scale_bias, m if R.instance_scaling else z, R.scale).sigmoid_()


def rectify(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], statistics: Statistics, R: Rectifiers
) -> Float[Tensor, "N C H W"]:
    """y = affine(r * (rstd * (x - m) + z)), in the type and layout of x."""
    weight, bias = R.pointwise
    y = _scaled(x, m, statistics, R, weight, bias)
    if R.weight is not None and R.depthwise:
        y = _convolve(y, R.weight, R.bias)
    return y


def _scaled(
    x: Tensor, m: Tensor, statistics: Statistics, R: Rectifiers, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """weight * x_cs + bias as (x - m) * scale + shift."""
    z = normalized_mean(m, statistics, R.center)
    ratio = scaling_ratio(m, z, R)
    gain = weight if ratio is None else _times(ratio, weight)
    scale = (statistics.rstd if gain is None else gain * statistics.rstd).expand_as(m)
    shift = torch.addcmul(_times(z, gain), m, scale, value=-1)
    if bias is not None:
        shift = shift + bias
    return torch.addcmul(spatial(shift), x, spatial(scale)).to(x.dtype)


def reduce(
    gy: Float[Tensor, "N C H W"],
    x: Float[Tensor, "N C H W"],
    m: Float[Tensor, "N C"],
    statistics: Statistics,
    R: Rectifiers,
) -> Sums:
    """sum_hw(g) and sum_hw(g * (x - m)), and a depthwise step's own gradients; x_cs is computed again."""
    g, grad_weight, grad_bias = gy, None, None
    if R.weight is not None and R.depthwise:
        g, grad_weight = _convolve_backward(gy, _scaled(x, m, statistics, R, None, None), R.weight)
        grad_bias = None if R.bias is None else gy.sum((0, 2, 3), dtype=m.dtype)
    product = ((x - spatial(m)) * g).sum((2, 3))
    return Sums(g, g.sum((2, 3), dtype=m.dtype), product, grad_weight, grad_bias)


def finalize(
    sums: Sums, m: Float[Tensor, "N C"], statistics: Statistics, R: Rectifiers, M: int
) -> tuple[Coefficients, Gradients]:
    """From the sums over H, W to the parameters' gradients and what the gradient by x is made of.

    docs/layer.md, "Backward", has the names used here. One collective where statistics.group is given.
    """
    _, rstd, flow, elements, group = statistics
    S = sums.total
    weight, bias = R.pointwise
    z = normalized_mean(m, statistics, R.center)
    ratio = scaling_ratio(m, z, R)
    P = torch.addcmul(S * z, sums.product, rstd)
    AP = _times(P, ratio)
    E = _times(AP, weight)
    gain = weight if ratio is None else _times(ratio, weight)
    T = _times(S, gain)
    sum_AP = AP.sum(0)
    grad_weight = None if weight is None else (AP if weight.dim() == 2 else sum_AP)
    grad_bias = None if bias is None else (S if bias.dim() == 2 else S.sum(0))
    sum_T = T.sum(0)
    sum_E = E.sum(0) if weight is not None and weight.dim() == 2 else _times(sum_AP, weight)
    grad_scale = grad_scale_bias = direct = None
    through_k: Tensor | None = None
    if ratio is not None:
        assert R.scale is not None
        h = torch.addcmul(E, E, ratio, value=-1)
        grad_scale_bias = h.sum(0)
        grad_scale = (h * (m if R.instance_scaling else z)).sum(0)
        if R.instance_scaling:
            direct = h * R.scale
        else:
            through_k = h * R.scale
            sum_T = torch.addcmul(sum_T, grad_scale_bias, R.scale)
            sum_E = torch.addcmul(sum_E, grad_scale, R.scale)
    own_sum_T = sum_T
    Q = T if through_k is None else T + through_k
    if isinstance(flow, float) and flow == 0.0:
        slope = torch.zeros_like(rstd)
        Q = Q * rstd
    else:
        sum_T, sum_E = sum_over_replicas(sum_T, sum_E, group=group)
        per_element = flow / elements
        B1, B2 = sum_T * per_element, sum_E * per_element
        slope = -(B2 * rstd * rstd)
        Q = torch.addcmul(Q, z, B2, value=-M).sub_(M * B1).mul_(rstd)
    shift = Q if R.center is None else torch.addcmul(Q, Q, R.center)
    if direct is not None:
        shift = shift + direct
    scale = (rstd if gain is None else gain * rstd).expand_as(m)
    grad_center = None if R.center is None else _center_gradient(Q, m, own_sum_T * rstd, flow, group)
    coefficients = Coefficients(S / M, scale, slope, shift / M)
    return coefficients, Gradients(grad_center, grad_scale, grad_scale_bias, grad_weight, grad_bias)


def _center_gradient(
    Q: Tensor, m: Tensor, constant_part: Tensor, flow: Tensor | float, group: object
) -> Tensor:
    """sum_n(m Q)."""
    if group is not None:
        return (Q * m).sum(0)
    # The sum of Q over n is 0 where the statistics flow: about the mean of m, its rounding is not magnified.
    mean_m = m.mean(0)
    gradient = (Q * (m - mean_m)).sum(0)
    if isinstance(flow, float) and flow == 1.0:
        return gradient
    return torch.addcmul(gradient, mean_m * (1 - flow), constant_part)


def combine(
    sums: Sums, x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], by: Coefficients, R: Rectifiers
) -> Float[Tensor, "N C H W"]:
    """gx = (g - g_pivot) * g_scale + (x - m) * x_scale + shift, in the type and layout of x."""
    shift = torch.addcmul(by.shift, by.g_pivot, by.g_scale, value=-1)
    shift = spatial(torch.addcmul(shift, m, by.x_scale, value=-1))
    gx = torch.addcmul(shift, sums.g, spatial(by.g_scale))
    return torch.addcmul(gx, x, spatial(by.x_scale)).to(x.dtype)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Depthwise, zero padding, in the type of x, whatever autocast says."""
    bias = None if bias is None else bias.to(x.dtype)
    without_autocast = nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
    with without_autocast:
        return torch.conv2d(x, weight.to(x.dtype), bias, padding=weight.shape[-1] // 2, groups=x.shape[1])


def _convolve_backward(gy: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    padding = [weight.shape[-1] // 2] * 2
    arguments = (gy, x, weight.to(x.dtype), None, [1, 1], padding, [1, 1], False, [0, 0], x.shape[1])
    gx, gw, _ = torch.ops.aten.convolution_backward(*arguments, [True, True, False])
    return gx, gw.to(weight.dtype)
