"""Rank 0's side of a training by several workers: it starts the others, tells them, and is told when one fails."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import torch.distributed as dist

from ubn_sweep.training.distributed.gang import (
    Gang,
    Request,
    endings_within,
    why,
)
from ubn_sweep.training.distributed.group import claim_gpu, joined
from ubn_sweep.training.distributed.words import OVER, Speaker

Tell = Callable[[str], None]
SETTLE_S = 5.0
"""How long the others may take to come back once all is over, before they are killed."""
REASON_S = 3.0
"""How long rank 0 waits to learn why an exchange failed."""
START_S, LOOK_S = 300.0, 0.01
"""How long the others may take to start, and how often rank 0 looks."""
WATCH_S, GRACE_S = 2.0, 20.0
"""How often rank 0 looks whether the others are alive, and how long it may take to find out by itself that not."""
EXCHANGE_WORDS = (
    "gloo",
    "NCCL",
    "Connection closed by peer",
    "Connection reset by peer",
    "Timed out waiting",
)
"""In what gloo and NCCL raise as RuntimeError."""


@contextmanager
def leading(
    gang: Gang,
    *,
    count: int,
    work: str,
    payload: str,
    timeout_s: float,
    whole_gpus: bool = False,
    give_up: Callable[[str], None] | None = None,
) -> Iterator[Tell]:
    """Inside, this process is rank 0 of `count` workers; the others run `work` with `payload`.

    What is told they hear, in order. However the block is left, they are told that all is over; who does not come
    back then is killed.

    Args:
        whole_gpus: whether each worker has a GPU of its own; where all see the same ones, that is found out.
        give_up: called with the reason where another worker has failed and this one does not come out of an exchange.

    Raises:
        WorkerFailedError: another worker failed, was killed, or gave no answer for `timeout_s`.
        UserError: the machine has fewer GPUs than workers.
    """
    if gang.local_ranks:
        whole_gpus = claim_gpu(0, count)
    store = _listening(gang.host, timeout_s)
    speaker = Speaker(store)
    first = Request(
        rank=0,
        count=count,
        address=gang.host,
        port=store.port,
        timeout_s=timeout_s,
        whole_gpus=whole_gpus,
        local_ranks=gang.local_ranks,
        work=work,
        payload=payload,
    )
    waits = True
    try:
        gang.begin({rank: replace(first, rank=rank) for rank in range(1, count)})
        _await_all(store, gang, count)
        with (
            _watched(gang, count, give_up),
            joined(store, first.share, timeout_s=timeout_s, whole_gpus=whole_gpus),
        ):
            yield speaker.tell
    except Exception as error:
        waits = False
        if not is_failed_exchange(error):
            raise
        endings = endings_within(gang, count, REASON_S)
        raise why(endings, count=count, timeout_s=timeout_s) from error
    finally:
        speaker.tell(OVER)
        # After an error of rank 0's own the others are in an exchange that nobody answers.
        endings = endings_within(gang, count, SETTLE_S if waits else 0.0)
        if len(endings) < count - 1 or any(end.kind is not None for end in endings.values()):
            gang.kill()


@contextmanager
def _watched(gang: Gang, count: int, give_up: Callable[[str], None] | None) -> Iterator[None]:
    """gloo raises in all workers when one is gone; NCCL may wait on, and so may a loop that makes no exchange."""
    if give_up is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_S):
            failed = {rank: end for rank, end in gang.endings().items() if end.kind is not None}
            if failed and not over.wait(GRACE_S):
                give_up(str(why(failed, count=count, timeout_s=GRACE_S)))

    watcher = threading.Thread(target=watch, daemon=True, name="watches-the-workers")
    watcher.start()
    try:
        yield
    finally:
        over.set()


def is_failed_exchange(error: Exception) -> bool:
    """Whether an error says that other workers did not answer, and nothing of this one."""
    if isinstance(error, (dist.DistError, dist.DistNetworkError, dist.DistStoreError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in EXCHANGE_WORDS)


def _listening(host: str, timeout_s: float) -> dist.TCPStore:
    """A store that listens at this address alone; by itself it would listen at all of the machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=128)
    return dist.TCPStore(
        host,
        listener.getsockname()[1],
        is_master=True,
        wait_for_workers=False,
        timeout=timedelta(seconds=timeout_s),
        master_listen_fd=listener.detach(),
    )


def _await_all(store: dist.TCPStore, gang: Gang, count: int) -> None:
    """Waits until the others have started: they import PyTorch first, which has nothing to do with an exchange's time.

    Raises:
        WorkerFailedError: one of them failed, or they take too long.
    """
    keys = [f"ready/{rank}" for rank in range(1, count)]
    deadline = time.monotonic() + START_S
    while not store.check(keys):
        endings = gang.endings()
        if endings or time.monotonic() > deadline:
            raise why(endings, count=count, timeout_s=START_S)
        time.sleep(LOOK_S)
