"""Some gloo processes on this machine, each running one function, and what they return.

They stay for the calls of a module: to import PyTorch takes them longer than most of what they do.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = timedelta(seconds=120)
"""For a rank whose partner raised."""
_pools: dict[int, ProcessPoolExecutor] = {}
"""By the number of processes."""


def _enter(
    rank: int, work: Callable[..., Any], folder: str, world_size: int, arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    meeting = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world_size, timeout=PATIENCE)
    try:
        torch.save(work(rank, *arguments), Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


def run_together(work: Callable[..., Any], *arguments: Any, world_size: int = 2) -> list[Any]:
    """work(rank, *arguments) in `world_size` processes; work is a module's own function."""
    with tempfile.TemporaryDirectory() as folder:
        ranks = [
            _processes(world_size).submit(_enter, rank, work, folder, world_size, arguments)
            for rank in range(world_size)
        ]
        for rank in ranks:
            rank.result()
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(world_size)]


def end_processes() -> None:
    """Leaves none behind."""
    while _pools:
        _pools.popitem()[1].shutdown()


def _processes(world_size: int) -> ProcessPoolExecutor:
    """One process a rank: each waits for the others, so that none takes two ranks."""
    if world_size not in _pools:
        _pools[world_size] = ProcessPoolExecutor(world_size, multiprocessing.get_context("spawn"))
    return _pools[world_size]
