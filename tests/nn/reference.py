"""Unified batch normalization, literally: every equation on its own, an N x N cosine matrix, float64, autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ubn_sweep.nn import SandwichBatchNorm2d, UnifiedBatchNorm2d
from ubn_sweep.nn.layers import GatedBatchNorm2d


def pairwise_similarity(x: Tensor) -> Tensor:
    """Mean over i != j of cos(x_i, x_j), from the N x N matrix."""
    flat = x.detach().flatten(1)
    cosines = F.cosine_similarity(flat[:, None], flat[None, :], dim=2, eps=1e-300)
    N = x.shape[0]
    off_diagonal = ~torch.eye(N, dtype=torch.bool, device=x.device)
    return cosines[off_diagonal].mean()


@dataclass
class State:
    mean: Tensor
    var: Tensor
    similarity: Tensor | None
    accepted: int
    open: bool = True


def state_of(layer: GatedBatchNorm2d) -> State:
    """A State in float64; the similarity of a fresh layer is None."""
    fresh = bool(layer.running_similarity == 0) and bool(torch.signbit(layer.running_similarity))
    return State(
        mean=layer.running_mean.detach().double().clone(),
        var=layer.running_var.detach().double().clone(),
        similarity=None if fresh else layer.running_similarity.detach().double().clone(),
        accepted=int(layer.num_batches_tracked),
    )


def reference(
    layer: GatedBatchNorm2d,
    x: Tensor,
    parameters: dict[str, Tensor],
    state: State,
    condition: Tensor | None = None,
) -> Tensor:
    """y for float64 x and parameters; moves the state as a training batch does if the layer is in training."""
    mean_hw = x.mean((2, 3), keepdim=True)
    x_c = x
    if layer.centering:
        x_c = x + parameters["center_weight"].view(1, -1, 1, 1) * mean_hw
    mean, var = state.mean, state.var
    if layer.training:
        batch_mean = x_c.mean((0, 2, 3))
        batch_var = ((x_c - batch_mean.view(1, -1, 1, 1)) ** 2).mean((0, 2, 3))
        move_gate(layer, x, state)
        if state.open:
            mean, var = batch_mean, batch_var
            accept(layer, x, batch_mean.detach(), batch_var.detach(), state)
    x_s = (x_c - mean.view(1, -1, 1, 1)) / torch.sqrt(var.view(1, -1, 1, 1) + layer.eps)
    if layer.scaling is not None:
        k = x_s.mean((2, 3), keepdim=True) if layer.scaling == "representative" else mean_hw
        w, b = (parameters[name].view(1, -1, 1, 1) for name in ("scale_weight", "scale_bias"))
        x_s = x_s * torch.sigmoid(w * k + b)
    return affine(layer, x_s, parameters, condition)


def move_gate(layer: GatedBatchNorm2d, x: Tensor, state: State) -> None:
    if layer.threshold is None:
        state.open = True
        return
    if x.shape[0] > 1:
        c = pairwise_similarity(x)
        momentum = layer.similarity_momentum
        state.similarity = c if state.similarity is None else (1 - momentum) * state.similarity + momentum * c
    s = 0.0 if state.similarity is None else float(state.similarity)
    state.open = s > layer.threshold or state.similarity is None or state.accepted == 0


def accept(layer: GatedBatchNorm2d, x: Tensor, mean: Tensor, var: Tensor, state: State) -> None:
    state.accepted += 1
    count = x.numel() // x.shape[1]
    factor = 1 / state.accepted if layer.momentum is None else layer.momentum
    state.mean = (1 - factor) * state.mean + factor * mean
    state.var = (1 - factor) * state.var + factor * var * count / (count - 1)


def affine(layer: GatedBatchNorm2d, x: Tensor, p: dict[str, Tensor], condition: Tensor | None) -> Tensor:
    if layer.weight is None:
        return x
    if isinstance(layer, UnifiedBatchNorm2d) and layer.affine == "depthwise":
        padding = layer.kernel_size // 2
        return F.conv2d(x, p["weight"], p["bias"], padding=padding, groups=x.shape[1])
    y = p["weight"].view(1, -1, 1, 1) * x + p["bias"].view(1, -1, 1, 1)
    if isinstance(layer, SandwichBatchNorm2d):
        w, b = (p[name][condition][:, :, None, None] for name in ("condition_weight", "condition_bias"))
        y = w * y + b
    return y
