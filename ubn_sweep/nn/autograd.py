"""One autograd node per layer, with the backward pass in closed form (docs/layer.md derives it).

Saved for the backward pass: x, as nn.BatchNorm2d does, and vectors of shape (N, C) and (C,). The depthwise
step's input is computed again rather than kept. Second derivatives are not implemented.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ubn_sweep.nn import primitives
from ubn_sweep.nn.replicas import sum_over_replicas

if TYPE_CHECKING:
    from ubn_sweep.nn.functional import Statistics


class Rectification(NamedTuple):
    """Constants and parameters of the step from x to x_cs, in the type of the statistics."""

    m: Tensor
    mean: Tensor
    rstd: Tensor
    center: Tensor | None
    scale: Tensor | None
    scale_bias: Tensor | None
    instance_scaling: bool

    @property
    def gain(self) -> Tensor | None:
        """1 + w_m, (C,)."""
        return None if self.center is None else self.center + 1

    def normalized_mean(self) -> Tensor:
        """z = ((1 + w_m) * m - mean) * rstd, (N, C): the mean over H, W of the normalized x_c."""
        slope = self.rstd if self.center is None else torch.addcmul(self.rstd, self.center, self.rstd)
        return torch.addcmul(-(self.mean * self.rstd), self.m, slope)

    def ratio(self, z: Tensor) -> Tensor | None:
        """r = sigmoid(w_v * k + w_b), (N, C)."""
        if self.scale is None:
            return None
        assert self.scale_bias is not None
        k = self.m if self.instance_scaling else z
        return torch.addcmul(self.scale_bias, k, self.scale).sigmoid_()


class RectificationGradients(NamedTuple):
    x: Tensor
    center: Tensor | None
    scale: Tensor | None
    scale_bias: Tensor | None
    weight: Tensor | None
    bias: Tensor | None


def _times(left: Tensor, right: Tensor | None) -> Tensor:
    return left if right is None else left * right


def _coefficients(
    R: Rectification, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """scale and shift (N, C) of y = (x - m) * scale + shift = weight * x_cs + bias, and r."""
    z = R.normalized_mean()
    ratio = R.ratio(z)
    gain = weight if ratio is None else _times(ratio, weight)
    scale = R.rstd if gain is None else gain * R.rstd
    shift = _times(z, gain)
    if bias is not None:
        shift = shift + bias
    return scale.expand_as(R.m), shift, ratio


def _normalizer(R: Rectification) -> tuple[Callable[[Tensor, slice], Tensor], Tensor | None]:
    """The map from samples of x, and where they are in the batch, to those of x_cs; and r."""
    scale, shift, ratio = _coefficients(R, None, None)

    def normalize(x: Tensor, samples: slice) -> Tensor:
        return primitives.scale_shift(x, R.m[samples], scale[samples], shift[samples])

    return normalize, ratio


def _backward(
    gy: Tensor,
    sums: tuple[Tensor, Tensor],
    x: Tensor,
    R: Rectification,
    ratio: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    flow: Tensor | float,
    elements: Tensor | float,
    group: Any,
) -> RectificationGradients:
    """Gradients of y = weight * x_cs + bias, from sums = row_sums(gy, x, m).

    docs/layer.md, "Backward", has the names used here.
    """
    M = x.shape[2] * x.shape[3]
    z = R.normalized_mean()
    S, centered = sums
    P = torch.addcmul(S * z, centered, R.rstd)
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
        gh = torch.addcmul(E, E, ratio, value=-1)
        grad_scale_bias = gh.sum(0)
        grad_scale = (gh * (R.m if R.instance_scaling else z)).sum(0)
        if R.instance_scaling:
            direct = gh * R.scale
        else:
            through_k = gh * R.scale
            sum_T = torch.addcmul(sum_T, grad_scale_bias, R.scale)
            sum_E = torch.addcmul(sum_E, grad_scale, R.scale)
    scale = R.rstd if gain is None else gain * R.rstd
    own_sum_T = sum_T
    if isinstance(flow, float) and flow == 0.0:
        slope = torch.zeros_like(R.rstd)
        Q = (T if through_k is None else T + through_k) * R.rstd
    else:
        sum_T, sum_E = sum_over_replicas(sum_T, sum_E, group=group)
        per_element = flow / elements
        B1, B2 = sum_T * per_element, sum_E * per_element
        slope = -(B2 * R.rstd * R.rstd)
        Q = T if through_k is None else T + through_k
        Q = torch.addcmul(Q, z, B2, value=-M).sub_(M * B1).mul_(R.rstd)
    grad_center = None
    if R.center is not None and group is not None:
        grad_center = (Q * R.m).sum(0)
    elif R.center is not None:
        # The sum of Q over n is 0 where the statistics flow: about the mean of m, its rounding is not magnified.
        mean_m = R.m.mean(0)
        grad_center = (Q * (R.m - mean_m)).sum(0)
        if not (isinstance(flow, float) and flow == 1.0):
            grad_center = torch.addcmul(grad_center, mean_m * (1 - flow), own_sum_T * R.rstd)
    shift = Q if R.gain is None else Q * R.gain
    if direct is not None:
        shift = shift + direct
    gx = primitives.combine(gy, S / M, scale.expand_as(R.m), x, R.m, slope, shift / M)
    return RectificationGradients(gx, grad_center, grad_scale, grad_scale_bias, grad_weight, grad_bias)


def _save(ctx: Any, inputs: tuple[Any, ...], ratio: Tensor | None) -> None:
    """Tensors through save_for_backward, which checks and hooks them; the rest as it is."""
    tensors = [value if isinstance(value, Tensor) else None for value in inputs]
    ctx.save_for_backward(ratio, *tensors)
    ctx.others = [None if isinstance(value, Tensor) else value for value in inputs]


def _saved(ctx: Any) -> tuple[Tensor | None, list[Any]]:
    ratio, *tensors = ctx.saved_tensors
    return ratio, [o if t is None else t for t, o in zip(tensors, ctx.others, strict=True)]


class _Normalize(torch.autograd.Function):
    """(x, ...) -> weight * x_cs + bias."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        x, m, mean, rstd, _flow, _elements, _group, center, scale, scale_bias, weight, bias, instance = inputs
        R = Rectification(m, mean, rstd, center, scale, scale_bias, instance)
        scale, shift, ratio = _coefficients(R, weight, bias)
        _save(ctx, inputs, ratio)
        return primitives.scale_shift(x, m, scale, shift)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> Any:
        ratio, inputs = _saved(ctx)
        x, m, mean, rstd, flow, elements, group, center, scale, scale_bias, weight, bias, instance = inputs
        R = Rectification(m, mean, rstd, center, scale, scale_bias, instance)
        gy = primitives.like(gy, x)
        sums = primitives.row_sums(gy, x, m)
        g = _backward(gy, sums, x, R, ratio, weight, bias, flow, elements, group)
        return (g.x, *(None,) * 6, g.center, g.scale, g.scale_bias, g.weight, g.bias, None)


class _NormalizeAndConvolve(torch.autograd.Function):
    """(x, ...) -> depthwise convolution of x_cs, zero padding. The backward pass computes x_cs again."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        x, m, mean, rstd, _flow, _elements, _group, center, scale, scale_bias, weight, bias, instance = inputs
        R = Rectification(m, mean, rstd, center, scale, scale_bias, instance)
        normalizer, ratio = _normalizer(R)
        _save(ctx, inputs, ratio)
        return primitives.depthwise(x, normalizer, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> Any:
        ratio, inputs = _saved(ctx)
        x, m, mean, rstd, flow, elements, group, center, scale, scale_bias, weight, bias, instance = inputs
        R = Rectification(m, mean, rstd, center, scale, scale_bias, instance)
        gy = primitives.like(gy, x)
        g_x_cs, grad_weight, sums = primitives.depthwise_backward(gy, x, _normalizer(R)[0], weight, m)
        grad_bias = None if bias is None else primitives.channel_sum(gy).to(bias.dtype)
        g = _backward(g_x_cs, sums, x, R, ratio, None, None, flow, elements, group)
        return (g.x, *(None,) * 6, g.center, g.scale, g.scale_bias, grad_weight, grad_bias, None)


def _arguments(x: Tensor, m: Tensor, statistics: Statistics, parameters: Any, eps: float) -> tuple[Any, ...]:
    """Everything small in the type of the statistics; the casts differentiate the parameters' own types."""
    mean = statistics.mean.to(m.dtype)
    rstd = torch.rsqrt(statistics.var.to(m.dtype) + eps)
    small = (p if p is None else p.to(m.dtype) for p in parameters)
    return (x, m, mean, rstd, statistics.flow, statistics.elements, statistics.group, *small)


def normalize(
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
    parameters = (center_weight, scale_weight, scale_bias, weight, bias)
    return _Normalize.apply(*_arguments(x, m, statistics, parameters, eps), instance_scaling)


def normalize_and_convolve(
    x: Tensor,
    m: Tensor,
    statistics: Statistics,
    center_weight: Tensor | None,
    scale_weight: Tensor | None,
    scale_bias: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    instance_scaling: bool,
    eps: float,
) -> Tensor:
    parameters = (center_weight, scale_weight, scale_bias, weight, bias)
    return _NormalizeAndConvolve.apply(*_arguments(x, m, statistics, parameters, eps), instance_scaling)
