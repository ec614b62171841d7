"""Every random draw follows from a seed, a purpose and an epoch, so that a resumed run draws the same."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """A seed for one purpose in one epoch, independent of those for others."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), epoch])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator_for(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """A generator on the CPU, whose draws are the same for every device that trains."""
    return torch.Generator().manual_seed(derive_seed(seed, purpose, epoch))


@contextmanager
def global_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, the global generator starts from `seed` (for initialisation, dropout); no trace is left."""
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        # torch.manual_seed would touch the generators of all devices, which are not restored.
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
