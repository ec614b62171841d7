"""A network that several workers train: gradients are averaged in the backward pass, or before an optimizer's step."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ubn_sweep.training.distributed.group import own_share
from ubn_sweep.training.distributed.reduce import average_gradients


def replicated(model: nn.Module) -> nn.Module:
    """The model with its gradients averaged over the workers; the model itself where there is one.

    The workers' buffers become those of rank 0 at each forward pass in training, as DistributedDataParallel has it: the
    running statistics are those of rank 0's batches, unless the layers synchronize them.
    """
    if own_share().is_whole:
        return model
    # Of a depthwise kernel, (C, 1, k, k), two notations of one layout; PyTorch says so in four lines a process.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    return DistributedDataParallel(model)


def without_exchange(network: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """For a batch whose gradients are added to others first: only the last of them is worth an exchange."""
    if last or not isinstance(network, DistributedDataParallel):
        return nullcontext()
    return network.no_sync()


def average_before_steps(optimizer: torch.optim.Optimizer) -> None:
    """Averages the gradients just before each step: for a loop whose forward passes are its own business.

    Nothing overlaps with the backward pass then; for large networks `replicated` is the faster way.
    """
    if own_share().is_whole:
        return

    def average(stepping: torch.optim.Optimizer, *_: object) -> None:
        average_gradients(p for group in stepping.param_groups for p in group["params"])

    optimizer.register_step_pre_hook(average)
