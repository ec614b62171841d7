"""How the loops for a CPU are compiled (numba), kept for the next process, and spread over threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import torch

# Sums may be reassociated, so that they use vector instructions; inf and nan keep their meaning.
REASSOCIATE = {"reassoc", "contract", "nsz", "arcp"}
WORTH_A_THREAD = 1 << 20
"""Multiplications: what takes about a third of a millisecond, some times what waking a thread does."""


def compiled(function: Callable[..., Any]) -> Any:
    """Machine code at the first call, without the interpreter's lock; kept on disk where a folder can be written."""
    return _compile(function, fastmath=REASSOCIATE)


def compiled_exactly(function: Callable[..., Any]) -> Any:
    """As `compiled`, with IEEE arithmetic as written: the sign of a zero matters."""
    return _compile(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A part of a loop, written into each loop that calls it."""
    return numba.njit(inline="always")(function)


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder for the cache
        return numba.njit(**options)(function)


def spread(loop: Callable[..., Any], count: int, work: int, *arguments: Any) -> list[Any]:
    """loop(*arguments, first, last) over ranges that make up `count`, on as many threads as PyTorch uses.

    work: multiplications, roughly; a little of it stays on this thread.
    """
    threads = min(torch.get_num_threads(), count, max(1, work // WORTH_A_THREAD))
    if threads == 1:
        return [loop(*arguments, 0, count)]
    ends = [count * i // threads for i in range(threads + 1)]
    pool = _pool(os.getpid(), torch.get_num_threads())
    others = [pool.submit(loop, *arguments, ends[i], ends[i + 1]) for i in range(1, threads)]
    mine = loop(*arguments, 0, ends[1])
    return [mine, *(other.result() for other in others)]


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """One per process: threads do not survive a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="ubn-kernels")
