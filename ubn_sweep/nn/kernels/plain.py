"""The kernels in plain PyTorch: any device, layout and type, under a compiler too. The others must equal these.

Shapes: x, y, g (N, C, H, W), M = H*W; docs/layer.md derives the formulas, and has the names used here.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ubn_sweep.nn.collectives import sum_over_processes
from ubn_sweep.nn.kernels.interface import Coefficients, Gradients, Rectifiers, Statistics, Sums
from ubn_sweep.nn.kernels.settling import batch_statistics as batch_statistics
from ubn_sweep.nn.kernels.settling import settle as settle
from ubn_sweep.nn.kernels.settling import settle_with as settle_with

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from ubn_sweep.nn.shapes import Float

HALF = (torch.float16, torch.bfloat16)


def takes(*tensors: Tensor) -> bool:
    """Any tensors."""
    return True


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
) -> tuple[Float[Tensor, " CHW"], Float[Tensor, ""]]:
    """u = sum_i x_i / |x_i| and the number of samples that are not zero; CHW = C*H*W, in the order of memory."""
    squared_norm = torch.addcmul(v, m, m).sum(1).mul_(x.shape[2] * x.shape[3])
    zero = squared_norm == 0
    # inf / inf, rather than rsqrt's zero, so that a sample that is not finite shows in the similarity.
    inverse_norm = squared_norm.sqrt().div_(squared_norm).masked_fill_(zero, 0.0)
    flat = (x if x.is_contiguous() else x.permute(0, 2, 3, 1)).reshape(x.shape[0], -1)
    with _without_autocast(x):  # of 512 images |u|**2 may exceed what half precision holds
        u = torch.mv(flat.to(m.dtype).t(), inverse_norm)
    return u, (x.shape[0] - zero.sum()).to(m.dtype)


def similarity_of(
    u: Float[Tensor, " CHW"], nonzero: Float[Tensor, ""], N: Float[Tensor, ""] | int
) -> Float[Tensor, ""]:
    """c(x) from u = sum_i x_i / |x_i|, the number of samples that are not zero, and the number of samples."""
    with _without_autocast(u):
        return (u.dot(u) - nonzero) / (N * (N - 1))


def similarity(
    x: Float[Tensor, "N C H W"], m: Float[Tensor, "N C"], v: Float[Tensor, "N C"]
) -> Float[Tensor, ""]:
    """c(x) = mean over pairs i != j of cos(x_i, x_j) = (|u|**2 - nonzero) / (N * (N - 1)); N >= 2."""
    u, nonzero = sum_of_directions(x, m, v)
    return similarity_of(u, nonzero, x.shape[0])


def _times(left: Tensor, right: Tensor | None) -> Tensor:
    return left if right is None else left * right


def normalized_mean(
    m: Float[Tensor, "N C"], statistics: Statistics, w_m: Float[Tensor, " C"] | None
) -> Float[Tensor, "N C"]:
    """z = ((1 + w_m) * m - mean) * rstd: the mean over H, W of x_s, the normalized x_c."""
    mean, rstd = statistics.mean, statistics.rstd
    rstd_times_one_plus_w_m = rstd if w_m is None else torch.addcmul(rstd, w_m, rstd)
    return torch.addcmul(-(mean * rstd), m, rstd_times_one_plus_w_m)


def scaling_factor(
    m: Float[Tensor, "N C"], z: Float[Tensor, "N C"], R: Rectifiers
) -> Float[Tensor, "N C"] | None:
    """r = sigmoid(w_v * k + w_b), k = z, or m for IEBN; None without scaling, where r is 1."""
    if R.w_v is None:
        return None
    assert R.w_b is not None
    k = m if R.instance_scaling else z
    return torch.addcmul(R.w_b, k, R.w_v).sigmoid_()


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
    z = normalized_mean(m, statistics, R.w_m)
    gain = _gain(scaling_factor(m, z, R), weight)
    scale = _scale(gain, statistics.rstd, m)
    shift = _times(z, gain) if bias is None else _times(z, gain) + bias
    return torch.addcmul(spatial(torch.addcmul(shift, m, scale, value=-1)), x, spatial(scale)).to(x.dtype)


def _gain(r: Tensor | None, weight: Tensor | None) -> Tensor | None:
    """weight * r; None where it is 1."""
    return weight if r is None else _times(r, weight)


def _scale(gain: Tensor | None, rstd: Tensor, m: Tensor) -> Tensor:
    """gain * rstd (N, C)."""
    return _times(rstd, gain).expand_as(m)


def reduce(
    gy: Float[Tensor, "N C H W"],
    x: Float[Tensor, "N C H W"],
    m: Float[Tensor, "N C"],
    statistics: Statistics,
    R: Rectifiers,
) -> Sums:
    """S = sum_hw(g) and D = sum_hw(g * (x - m)), and a depthwise step's own gradients; x_cs is computed again."""
    g, grad_weight, grad_bias = gy, None, None
    if R.weight is not None and R.depthwise:
        g, grad_weight = _convolve_backward(gy, _scaled(x, m, statistics, R, None, None), R.weight)
        grad_bias = None if R.bias is None else gy.sum((0, 2, 3), dtype=m.dtype)
    D = ((x - spatial(m)) * g).sum((2, 3))
    return Sums(g, g.sum((2, 3), dtype=m.dtype), D, grad_weight, grad_bias)


def finalize(
    sums: Sums, m: Float[Tensor, "N C"], statistics: Statistics, R: Rectifiers, M: int
) -> tuple[Coefficients, Gradients]:
    """From the sums over H, W to the parameters' gradients and what the gradient by x is made of.

    docs/layer.md, "Backward". One collective where statistics.group is given.
    """
    rstd, flow, group = statistics.rstd, statistics.flow, statistics.group
    S, (weight, bias) = sums.S, R.pointwise
    z = normalized_mean(m, statistics, R.w_m)
    r = scaling_factor(m, z, R)
    rP = _times(torch.addcmul(S * z, sums.D, rstd), r)
    gain = _gain(r, weight)
    T, E = _times(S, gain), _times(rP, weight)
    sum_T, sum_rP = T.sum(0), rP.sum(0)
    sum_E = E.sum(0) if R.per_sample else _times(sum_rP, weight)
    grad_weight = None if weight is None else (rP if R.per_sample else sum_rP)
    grad_bias = None if bias is None else (S if bias.dim() == 2 else S.sum(0))
    sum_h = sum_hk = through_k = None
    if r is not None:
        assert R.w_v is not None
        h = torch.addcmul(E, E, r, value=-1)
        sum_h, sum_hk = h.sum(0), (h * (m if R.instance_scaling else z)).sum(0)
        through_k = h * R.w_v
        if not R.instance_scaling:
            T = T + through_k
            sum_T = torch.addcmul(sum_T, sum_h, R.w_v)
            sum_E = torch.addcmul(sum_E, sum_hk, R.w_v)
    own_sum_T = sum_T
    if isinstance(flow, float) and flow == 0.0:
        x_scale, Q = torch.zeros_like(rstd), T * rstd
    else:
        sum_T, sum_E = sum_over_processes(sum_T, sum_E, group=group)
        flow_per_element = flow / statistics.elements
        B1, B2 = sum_T * flow_per_element, sum_E * flow_per_element
        x_scale = -(B2 * rstd * rstd)
        Q = torch.addcmul(T, z, B2, value=-M).sub_(M * B1).mul_(rstd)
    sum_gx = Q if R.w_m is None else torch.addcmul(Q, Q, R.w_m)
    if through_k is not None and R.instance_scaling:
        sum_gx = sum_gx + through_k
    grad_w_m = None if R.w_m is None else _centering_gradient(Q, m, own_sum_T * rstd, flow, group)
    coefficients = Coefficients(S / M, _scale(gain, rstd, m), x_scale, sum_gx / M)
    return coefficients, Gradients(grad_w_m, sum_hk, sum_h, grad_weight, grad_bias)


def _centering_gradient(
    Q: Tensor, m: Tensor, constant_part: Tensor, flow: Tensor | float, group: ProcessGroup | None
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
    sums: Sums,
    x: Float[Tensor, "N C H W"],
    m: Float[Tensor, "N C"],
    coefficients: Coefficients,
    R: Rectifiers,
) -> Float[Tensor, "N C H W"]:
    """gx = (g - g_mean) * g_scale + (x - m) * x_scale + gx_mean, in the type and layout of x."""
    g_mean, g_scale, x_scale, gx_mean = coefficients
    constant = torch.addcmul(gx_mean, g_mean, g_scale, value=-1)
    constant = spatial(torch.addcmul(constant, m, x_scale, value=-1))
    gx = torch.addcmul(constant, sums.g, spatial(g_scale))
    return torch.addcmul(gx, x, spatial(x_scale)).to(x.dtype)


def _without_autocast(x: Tensor) -> AbstractContextManager[object]:
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Depthwise, zero padding, in the type of x, whatever autocast says."""
    bias = None if bias is None else bias.to(x.dtype)
    with _without_autocast(x):
        return torch.conv2d(x, weight.to(x.dtype), bias, padding=weight.shape[-1] // 2, groups=x.shape[1])


def _convolve_backward(gy: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    padding = [weight.shape[-1] // 2] * 2
    arguments = (gy, x, weight.to(x.dtype), None, [1, 1], padding, [1, 1], False, [0, 0], x.shape[1])
    gx, grad_weight, _ = torch.ops.aten.convolution_backward(*arguments, [True, True, False])
    return gx, grad_weight.to(weight.dtype)
