"""One autograd node per layer, with the backward pass in closed form (docs/layer.md derives it).

Saved for the backward pass: x, as nn.BatchNorm2d does, m (N, C) and vectors (C,). The depthwise step's input is
computed again rather than kept. Second derivatives are not implemented.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ubn_sweep.nn.kernels import kernels_for
from ubn_sweep.nn.kernels.interface import Rectifiers, Statistics


def rectify(x: Tensor, m: Tensor, statistics: Statistics, rectifiers: Rectifiers) -> Tensor:
    """The layer from x to y, differentiable by x and the rectifiers; `statistics` as `flow` says.

    Everything small in the type of m; the casts differentiate the parameters' own types.
    """
    small = (p.to(m.dtype) if isinstance(p, Tensor) else p for p in rectifiers)
    y: Tensor = _Rectify.apply(x, m, *statistics, *small)
    return y


class _Rectify(torch.autograd.Function):
    """(x, m, mean, rstd, flow, elements, group, center, scale, scale_bias, weight, bias, instance_scaling) -> y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, m: Tensor, *rest: Any) -> Tensor:
        _save(ctx, (x, m, *rest))
        return kernels_for(x).rectify(x, m, Statistics(*rest[:5]), Rectifiers(*rest[5:]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> Any:
        x, m, *rest = _saved(ctx)
        statistics, R = Statistics(*rest[:5]), Rectifiers(*rest[5:])
        kernels = kernels_for(x)
        sums = kernels.reduce(_like(gy, x), x, m, statistics, R)
        coefficients, by = kernels.finalize(sums, m, statistics, R, x.shape[2] * x.shape[3])
        gx = kernels.combine(sums, x, m, coefficients, R)
        weight, bias = (sums.weight, sums.bias) if R.depthwise else (by.weight, by.bias)
        return (gx, *(None,) * 6, by.center, by.scale, by.scale_bias, weight, bias, None)


def _like(g: Tensor, x: Tensor) -> Tensor:
    """g in the layout of x: what reaches a backward pass may be expanded or permuted."""
    if g.stride() == x.stride():
        return g
    channels_last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return g.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Any, ...]) -> None:
    """Tensors through save_for_backward, which checks and hooks them; the rest as it is."""
    ctx.save_for_backward(*(value if isinstance(value, Tensor) else None for value in inputs))
    ctx.others = [None if isinstance(value, Tensor) else value for value in inputs]


def _saved(ctx: Any) -> list[Any]:
    return [o if t is None else t for t, o in zip(ctx.saved_tensors, ctx.others, strict=True)]
