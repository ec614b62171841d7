"""Which worker this process is, and how the workers of a training find each other.

As the layers do, a run asks torch.distributed: where no group is set up, the process is alone, and pays nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from ubn_sweep.errors import UserError
from ubn_sweep.training.share import WHOLE, Share

FIRST_MEETING_S = 300.0
"""How long workers that `torchrun` has started wait for each other."""


def own_share() -> Share:
    """This process's part of a training; the whole of it without a group."""
    if not (dist.is_available() and dist.is_initialized()):
        return WHOLE
    return Share(rank=dist.get_rank(), count=dist.get_world_size())


@contextmanager
def joined(store: dist.Store, share: Share, *, timeout_s: float, whole_gpus: bool) -> Iterator[None]:
    """Inside, the process is a worker of the group that meets in `store`.

    Args:
        timeout_s: how long a worker waits for the others in one exchange, before it raises.
        whole_gpus: whether each worker has a GPU of its own. NCCL then exchanges what lies on it; two workers on one
            GPU it refuses.
    """
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if whole_gpus else "gloo",
        store=dist.PrefixStore("group", store),
        rank=share.rank,
        world_size=share.count,
        timeout=timedelta(seconds=timeout_s),
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def started_by_torchrun(
    environment: Mapping[str, str] = os.environ, *, timeout_s: float = FIRST_MEETING_S
) -> Iterator[Share]:
    """Inside, the process is the worker that `torchrun` says it is; the only one where nobody says so.

    Raises:
        UserError: the machine has GPUs, but fewer than workers.
    """
    if int(environment.get("WORLD_SIZE", "1")) == 1:
        yield WHOLE
        return
    whole_gpus = claim_gpu(int(environment["LOCAL_RANK"]), int(environment["LOCAL_WORLD_SIZE"]))
    store, rank, count = next(dist.rendezvous("env://", timeout=timedelta(seconds=timeout_s)))
    share = Share(rank=rank, count=count)
    with joined(store, share, timeout_s=timeout_s, whole_gpus=whole_gpus):
        yield share


def claim_gpu(local_rank: int, local_count: int) -> bool:
    """Makes `cuda` mean the worker's own GPU of this machine's; says whether there is one.

    Raises:
        UserError: there are GPUs, but fewer than workers.
    """
    gpus = torch.cuda.device_count()
    if gpus == 0:
        return False
    if gpus < local_count:
        raise UserError(
            f"workers: {local_count} on a machine with {gpus} GPUs, and each needs one of its own: take {gpus}, or "
            "hide the GPUs by CUDA_VISIBLE_DEVICES= to train on the processors"
        )
    torch.cuda.set_device(local_rank)
    return True
