"""The side of a worker behind rank 0: it joins the group, does its work, and says how it came back."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from datetime import timedelta

import torch.distributed as dist

from ubn_sweep.training.distributed.gang import Ending, Request
from ubn_sweep.training.distributed.group import claim_gpu, joined
from ubn_sweep.training.distributed.lead import is_failed_exchange
from ubn_sweep.training.distributed.words import Listener, OverError
from ubn_sweep.training.memory import is_out_of_memory, release_memory

REASON_LENGTH = 2000


def follow(request: Request) -> Ending:
    """Does what rank 0 asked for; raises nothing that the work raised."""
    release_memory()  # of the training before, whose frames are gone by now
    try:
        _work(request)
    except OverError:
        pass
    except Exception as error:
        traceback.print_exc()
        return _failed(error)
    return Ending()


def _work(request: Request) -> None:
    module, _, name = request.work.partition(":")
    # What takes time to be imported is imported now: in an exchange the others would wait for it.
    train: Callable[[Callable[[], str]], None] = getattr(importlib.import_module(module), name)(
        request.payload
    )
    if request.local_ranks:
        claim_gpu(request.rank, request.count)
    timeout = timedelta(seconds=request.timeout_s)
    store = dist.TCPStore(request.address, request.port, is_master=False, timeout=timeout)
    store.set(f"ready/{request.rank}", "")
    with joined(store, request.share, timeout_s=request.timeout_s, whole_gpus=request.whole_gpus):
        train(Listener(store).hear)


def _failed(error: Exception) -> Ending:
    last = traceback.format_exc()[-REASON_LENGTH:]
    return Ending(
        kind="memory" if is_out_of_memory(error) else "error",
        reason=f"{type(error).__name__}: {error}\n{last}",
        by_others=is_failed_exchange(error),
    )
