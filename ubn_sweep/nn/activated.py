"""Subclasses of BatchNorm2d that call other modules after it, as timm's BatchNormAct2d its dropout and activation."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin


def steps_after(layer: nn.BatchNorm2d) -> dict[str, nn.Module] | None:
    """The children that a layer calls after the normalization, by name, in order; None: it computes otherwise.

    What a subclass computes is not asked of its name: a copy of it must do, on noise, in training and in evaluation,
    what batch normalization and its children do one after another.
    """
    if type(layer) is nn.BatchNorm2d:
        return {}
    if isinstance(layer, LazyModuleMixin):
        return None
    try:
        same = _is_a_chain(_twin(layer))
    except Exception:  # whatever a user's code does when it meets noise
        return None
    return dict(layer.named_children()) if same else None


def with_steps(norm: nn.Module, steps: dict[str, nn.Module]) -> nn.Module:
    """The layer, and then the steps; the layer itself where there are none."""
    if not steps:
        return norm
    chain = nn.Sequential()
    for name, module in {"norm": norm, **steps}.items():
        chain.add_module(name, module)
    chain.training = norm.training
    return chain


def without_steps(module: nn.Module) -> nn.Module:
    """What was `norm` in with_steps(norm, steps)."""
    return module.get_submodule("norm") if isinstance(module, nn.Sequential) else module


def _twin(layer: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """A copy on the CPU in float64, with values that hide no step; also of a layer that has no values (meta)."""
    twin = copy.deepcopy(layer).to_empty(device="cpu").double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in (*twin.parameters(), *twin.buffers()):
            noise = torch.rand(values.shape, generator=generator, dtype=torch.float64)
            values.copy_(0.5 + noise if values.is_floating_point() else torch.zeros_like(values))
    return twin


@torch.no_grad()
def _is_a_chain(layer: nn.BatchNorm2d) -> bool:
    x = torch.randn(4, layer.num_features, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    for training in (False, True):
        layer.train(training)
        for child in layer.children():
            child.eval()  # dropout draws
        expected: Tensor = F.batch_norm(
            x,
            None if training else layer.running_mean,
            None if training else layer.running_var,
            layer.weight,
            layer.bias,
            training,
            0.0,
            layer.eps,
        )
        for child in layer.children():
            expected = child(expected)
        if not torch.allclose(layer.forward(x), expected):
            return False
    return True
