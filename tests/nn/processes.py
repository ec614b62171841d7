"""Two gloo processes on this machine, each running one function, and what they return."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing


def _enter(
    rank: int, work: Callable[..., Any], folder: str, world_size: int, arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size)
    try:
        torch.save(work(rank, *arguments), Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


def run_together(work: Callable[..., Any], *arguments: Any, world_size: int = 2) -> list[Any]:
    """work(rank, *arguments) in `world_size` processes; work is a module's own function."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_enter, (work, folder, world_size, arguments), nprocs=world_size)
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(world_size)]
