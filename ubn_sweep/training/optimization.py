"""OptimizerConfig -> the optimizer, and its learning rate at every step.

Weight decay applies to all parameters alike, as in the paper's plain setting, unless `norm_weight_decay` is given.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ubn_sweep.nn import norm_parameters
from ubn_sweep.training.config import OptimizerConfig


def at_batch_size(optimizer: OptimizerConfig, images: int) -> OptimizerConfig:
    """The optimizer of steps over so many images: lr * images / lr_at_batch_size, where that is given.

    Source: Goyal et al., arXiv 1706.02677.
    """
    if optimizer.lr_at_batch_size is None:
        return optimizer
    lr = optimizer.lr * images / optimizer.lr_at_batch_size
    return dataclasses.replace(optimizer, lr=lr, lr_at_batch_size=None)


def parameter_groups(optimizer: OptimizerConfig, model: nn.Module) -> list[dict[str, Any]]:
    """The model's parameters; those of its normalization layers apart, where they have a weight decay of their own."""
    if optimizer.norm_weight_decay is None:
        return [{"params": list(model.parameters())}]
    norms = norm_parameters(model)
    known = {id(parameter) for parameter in norms}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return [{"params": others}, {"params": norms, "weight_decay": optimizer.norm_weight_decay}]


def build_optimizer(
    optimizer: OptimizerConfig, parameters: Iterable[nn.Parameter] | list[dict[str, Any]]
) -> torch.optim.Optimizer:
    """SGD with momentum (decay added to the gradient), or AdamW (decay decoupled)."""
    if optimizer.name == "adamw":
        return torch.optim.AdamW(parameters, lr=optimizer.lr, weight_decay=optimizer.weight_decay)
    return torch.optim.SGD(
        parameters,
        lr=optimizer.lr,
        momentum=optimizer.momentum,
        nesterov=optimizer.nesterov,
        weight_decay=optimizer.weight_decay,
    )


def learning_rate(optimizer: OptimizerConfig, step: int, *, steps_per_epoch: int, epochs: int) -> float:
    """The learning rate of a step, counted from 0 over the whole run.

    warm-up:   lr * (step + 1) / warmup_steps, so that the first step moves and the last has the full rate
    cosine:    lr * (1 + cos(pi * share)) / 2, share of the steps after the warm-up
    step:      lr * step_factor ** (how many of step_epochs have been finished)
    """
    warmup_steps = min(round(optimizer.warmup_epochs * steps_per_epoch), steps_per_epoch * epochs)
    if step < warmup_steps:
        return optimizer.lr * (step + 1) / warmup_steps
    if optimizer.schedule == "cosine":
        share = (step - warmup_steps) / max(1, steps_per_epoch * epochs - warmup_steps)
        return optimizer.lr * 0.5 * (1 + math.cos(math.pi * share))
    if optimizer.schedule == "step":
        finished = sum(step >= epoch * steps_per_epoch for epoch in optimizer.step_epochs)
        return optimizer.lr * optimizer.step_factor**finished
    return optimizer.lr
