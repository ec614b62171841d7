"""What a layer hands over to the one that takes its place in a model, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ubn_sweep.nn.layers import GatedBatchNorm2d

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def has_seen_a_batch(layer: nn.BatchNorm2d) -> bool:
    """Whether the running statistics are no longer those of a new layer. Without values (meta) it is new."""
    mean, var, batches = layer.running_mean, layer.running_var, layer.num_batches_tracked
    if mean is None or var is None or mean.is_meta:
        return False
    # Statistics that were loaded from before PyTorch counted batches have moved all the same.
    counted = batches is not None and bool(batches > 0)
    return counted or bool((mean != 0).any()) or bool((var != 1).any())


def hand_over(old: nn.BatchNorm2d, new: nn.Module, *, divisor: Tensor | None, weight_is_shared: bool) -> None:
    """Statistics, weights and mode, from `old` to `new`.

    Where a parameter keeps its shape the very same object goes on, unless the weight is divided and another layer
    holds it too; a depthwise kernel takes the weight at its centre.

    Args:
        divisor: (C,), what the weight is divided by so that the layers compute the same; None leaves it.
    """
    for name in STATISTICS:
        if getattr(new, name, None) is not None and getattr(old, name) is not None:
            setattr(new, name, getattr(old, name).detach().clone())
    for name in ("weight", "bias"):
        ours, theirs = getattr(new, name), getattr(old, name)
        if ours is None or theirs is None:
            continue
        own_copy = name == "weight" and divisor is not None and weight_is_shared
        if ours.shape == theirs.shape and not own_copy:
            setattr(new, name, theirs)
        else:
            with torch.no_grad():
                centre_of(ours).copy_(theirs)
            ours.requires_grad_(theirs.requires_grad)
    if divisor is not None:
        scale(centre_of(new.get_parameter("weight")), divisor.reciprocal())
    new.train(old.training)


def hand_back(new: nn.Module, old: nn.BatchNorm2d, *, factor: Tensor | None) -> None:
    """Statistics, mode, device, dtype and what `old` has a place for of the weights, times `factor` (C,)."""
    reference = next((t for t in (*new.parameters(), *new.buffers()) if t.is_floating_point()), None)
    if reference is not None:
        old.to(device=reference.device, dtype=reference.dtype)
    with torch.no_grad():
        for name in STATISTICS:
            _copy(getattr(old, name), getattr(new, name, None))
        for name in ("weight", "bias"):
            ours, theirs = getattr(new, name), getattr(old, name)
            if ours is not None and theirs is not None and ours is not theirs:
                _copy(theirs, centre_of(ours))
    if factor is not None and old.weight is not None:
        scale(old.weight, factor)
    old.train(new.training)


def hand_over_hooks(old: nn.Module, new: nn.Module) -> None:
    for hooks in HOOKS:
        getattr(new, hooks).update(getattr(old, hooks))


def scaling_at_the_start(layer: nn.Module) -> Tensor | None:
    """sigmoid(scale_bias), (C,) in float64: what `layer` multiplies by where scale_weight is 0; None: nothing."""
    if not isinstance(layer, GatedBatchNorm2d) or layer.scale_bias is None:
        return None
    return layer.scale_bias.detach().double().sigmoid()


def centre_of(weight: Tensor) -> Tensor:
    """(C,): the values themselves, or of a depthwise kernel those at its centre."""
    return weight[:, 0, weight.shape[2] // 2, weight.shape[3] // 2] if weight.dim() == 4 else weight


@torch.no_grad()
def scale(values: Tensor, factor: Tensor) -> None:
    """In place, rounded once."""
    values.copy_(values.double() * factor.to(values.device))


def _copy(target: Tensor | None, source: Tensor | None) -> None:
    if target is not None and source is not None:
        target.copy_(source)
