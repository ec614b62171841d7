"""What the workers of a training tell each other besides gradients: sums, agreements, rank 0's statistics.

Each function is called by all workers at the same place, and does nothing where there is one alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ubn_sweep.training.distributed.group import own_share
from ubn_sweep.training.share import Share


def summed(values: Tensor) -> Tensor:
    """The sum over the workers, element by element."""
    if own_share().is_whole:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total


def all_agree(holds: bool, device: torch.device) -> bool:
    """Whether it holds for every worker."""
    if own_share().is_whole:
        return holds
    return int(summed(torch.tensor(int(not holds), device=device))) == 0


def put_together(part: Tensor, size: int, share: Share) -> Tensor:
    """The workers' parts one behind another, (size, ...), as `Share.bounds` has cut them."""
    if share.is_whole:
        return part
    begin, end = share.bounds(size)
    kind = torch.uint8 if part.dtype == torch.bool else part.dtype
    whole = torch.zeros((size, *part.shape[1:]), dtype=kind, device=part.device)
    whole[begin:end] = part
    return summed(whole).to(part.dtype)


@torch.no_grad()
def take_buffers_of_the_first(models: Iterable[nn.Module]) -> None:
    """Running statistics and the like become those of rank 0, which are the ones that it saves."""
    if own_share().is_whole:
        return
    for model in models:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Each gradient becomes its mean over the workers, by one exchange for each type of number.

    A worker whose part of the batch left a parameter without a gradient takes part with zero; a parameter that has
    none anywhere keeps none, so that no weight decay moves it.
    """
    count = own_share().count
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        return
    has_one = torch.tensor([p.grad is not None for p in trained], device=trained[0].device).int()
    trained = [p for p, workers in zip(trained, summed(has_one).tolist(), strict=True) if workers > 0]
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    for dtype in dict.fromkeys(parameter.dtype for parameter in trained):
        gradients = [p.grad for p in trained if p.dtype == dtype and p.grad is not None]
        flat = summed(torch.cat([gradient.reshape(-1) for gradient in gradients])) / count
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))
