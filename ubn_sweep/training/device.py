"""Which device trains, and with how many threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ubn_sweep.errors import UserError
from ubn_sweep.training import VISIBLE_GPUS


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU.

    Raises:
        UserError: CUDA is asked for, but absent.
    """
    if name == "auto":
        # Hidden ones count as absent, also where PyTorch had seen them before they were hidden.
        hidden = os.environ.get(VISIBLE_GPUS) == ""
        name = "cuda" if torch.cuda.is_available() and not hidden else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: `cuda` is asked for, but PyTorch finds no CUDA device: take `auto` or `cpu`")
    return torch.device(name)


def gpu_count() -> int:
    """How many GPUs this process sees."""
    return int(torch.cuda.device_count())


@contextmanager
def numerics(device: torch.device, *, deterministic: bool, tf32: str) -> Iterator[None]:
    """How CUDA computes within the block; before and after as PyTorch is set up.

    Args:
        deterministic: Convolutions otherwise choose the fastest algorithms, whose sums differ from run to run.
        tf32: `off`, `convolutions` or `all`: what is rounded to TF32, where the GPU has it.
    """
    if device.type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = tf32 == "all"
    try:
        with cudnn.flags(
            enabled=cudnn.enabled,
            benchmark=not deterministic,
            deterministic=deterministic,
            allow_tf32=tf32 != "off",
        ):
            yield
    finally:
        matmul.allow_tf32 = before


def synchronize(device: torch.device) -> None:
    """Waits until the device is done, so that a clock shows its time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
