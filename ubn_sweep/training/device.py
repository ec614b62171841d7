"""Which device trains, and with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ubn_sweep.errors import UserError


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU.

    Raises:
        UserError: CUDA is asked for, but absent.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: `cuda` is asked for, but PyTorch finds no CUDA device: take `auto` or `cpu`")
    return torch.device(name)


def gpu_count() -> int:
    """How many GPUs this process sees."""
    return int(torch.cuda.device_count())


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On CUDA, convolutions otherwise choose algorithms whose sums differ from run to run."""
    cudnn = torch.backends.cudnn
    if device.type != "cuda":
        yield
        return
    with cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=cudnn.allow_tf32):
        yield


def synchronize(device: torch.device) -> None:
    """Waits until the device is done, so that a clock shows its time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
