"""One autograd node per layer, with the backward pass in closed form (docs/layer.md derives it).

Saved for the backward pass: x, as nn.BatchNorm2d does, m (N, C) and vectors (C,). The depthwise step's input is
computed again rather than kept. Second derivatives are not implemented.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ubn_sweep.nn.kernels import kernels_for
from ubn_sweep.nn.kernels.interface import Rectifiers, Statistics

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


def rectify(x: Tensor, m: Tensor, statistics: Statistics, rectifiers: Rectifiers) -> Tensor:
    """The layer from x to y, differentiable by x and the rectifiers; `statistics` as `flow` says.

    Everything small in the type of m; the casts differentiate the parameters' own types.
    """
    small = (p.to(m.dtype) if isinstance(p, Tensor) else p for p in rectifiers)
    y: Tensor = _Rectify.apply(x, m, *statistics, *small)
    return y


class _ByArgument(NamedTuple):
    """The gradients by the arguments of _Rectify.forward, in their order."""

    x: Tensor
    m: None = None
    mean: None = None
    rstd: None = None
    flow: None = None
    elements: None = None
    group: None = None
    w_m: Tensor | None = None
    w_v: Tensor | None = None
    w_b: Tensor | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None
    instance_scaling: None = None


class _Rectify(torch.autograd.Function):
    """`rectify`, with the fields of Statistics and Rectifiers one by one: so autograd sees the tensors among them."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        m: Tensor,
        mean: Tensor,
        rstd: Tensor,
        flow: Tensor | float,
        elements: Tensor | float,
        group: ProcessGroup | None,
        w_m: Tensor | None,
        w_v: Tensor | None,
        w_b: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        instance_scaling: bool,
    ) -> Tensor:
        # save_for_backward checks and hooks what it keeps, and takes tensors alone.
        flow_tensor, ctx.flow = (flow, None) if isinstance(flow, Tensor) else (None, flow)
        elements_tensor, ctx.elements = (elements, None) if isinstance(elements, Tensor) else (None, elements)
        ctx.group, ctx.instance_scaling = group, instance_scaling
        ctx.save_for_backward(x, m, mean, rstd, flow_tensor, elements_tensor, w_m, w_v, w_b, weight, bias)
        statistics = Statistics(mean, rstd, flow, elements, group)
        R = Rectifiers(w_m, w_v, w_b, weight, bias, instance_scaling)
        return kernels_for(x).rectify(x, m, statistics, R)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> Any:
        x, m, mean, rstd, flow_tensor, elements_tensor, w_m, w_v, w_b, weight, bias = ctx.saved_tensors
        flow = ctx.flow if flow_tensor is None else flow_tensor
        elements = ctx.elements if elements_tensor is None else elements_tensor
        statistics = Statistics(mean, rstd, flow, elements, ctx.group)
        R = Rectifiers(w_m, w_v, w_b, weight, bias, ctx.instance_scaling)
        kernels = kernels_for(x)
        sums = kernels.reduce(_like(gy, x), x, m, statistics, R)
        coefficients, by = kernels.finalize(sums, m, statistics, R, x.shape[2] * x.shape[3])
        gx = kernels.combine(sums, x, m, coefficients, R)
        affine = sums if R.depthwise else by
        gradients = _ByArgument(
            x=gx, w_m=by.w_m, w_v=by.w_v, w_b=by.w_b, weight=affine.weight, bias=affine.bias
        )
        return tuple(gradients)  # a compiler takes no other kind of tuple


def _like(g: Tensor, x: Tensor) -> Tensor:
    """g in the layout of x: what reaches a backward pass may be expanded or permuted."""
    if g.stride() == x.stride():
        return g
    channels_last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return g.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
