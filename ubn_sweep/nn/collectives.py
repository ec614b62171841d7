"""What the processes tell each other: one exchange per layer and direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from ubn_sweep.nn.gate import UNSEEN

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


def world_size(group: ProcessGroup | None = None) -> int:
    """How many processes are in the group, or in all where it is None; 1 without torch.distributed set up."""
    if not (dist.is_available() and dist.is_initialized()):
        return 1
    return dist.get_world_size(group)


def sum_over_processes(*values: Tensor, group: ProcessGroup | None) -> tuple[Tensor, ...]:
    """Each of the values summed over the group: one collective per type of number, all under way at once.

    group None: nothing to share with. A value without elements is not sent.
    """
    if group is None or world_size(group) == 1:
        return values
    sums = list(values)
    flats, works = [], []
    for dtype in dict.fromkeys(value.dtype for value in values if value.numel() > 0):
        chosen = [i for i, value in enumerate(values) if value.dtype == dtype]
        flat = torch.cat([values[i].reshape(-1) for i in chosen])
        works.append(dist.all_reduce(flat, group=group, async_op=True))
        flats.append((chosen, flat))
    for work in works:
        work.wait()
    for chosen, flat in flats:
        for i, part in zip(chosen, flat.split([values[i].numel() for i in chosen]), strict=True):
            sums[i] = part.view_as(values[i])
    return tuple(sums)


def all_have(numbers: tuple[int, ...], device: torch.device, group: ProcessGroup) -> bool:
    """Whether all processes hand over the same numbers. The host waits for the answer."""
    own = torch.tensor(numbers, device=device)
    found = [torch.empty_like(own) for _ in range(world_size(group))]
    dist.all_gather(found, own, group=group)
    return all(torch.equal(one, own) for one in found)


def mean_similarity(similarity: Tensor | None, v: Tensor, group: ProcessGroup | None) -> Tensor:
    """The mean of the processes' similarities, over those that have one; UNSEEN where none has.

    A process with a single sample has none, and takes part with weight zero; its v (1, C) tells whether its batch is
    finite. Where any of them is not, the mean is nan: all processes then refuse the batch.
    """
    mine = v.new_zeros(2)
    if similarity is None:
        mine[0] = v.sum() * 0.0
    else:
        mine[0], mine[1] = similarity, 1.0
    dist.all_reduce(mine, group=group)
    total, count = mine.unbind()
    none = torch.where(total.isnan(), total, UNSEEN)
    return torch.where(count > 0, total / count, none)
