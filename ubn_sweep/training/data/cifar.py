"""CIFAR-10 and CIFAR-100: 32x32 in colours, whose files' sums torchvision checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ubn_sweep.training.data.archives import Archive, Published
from ubn_sweep.training.data.dataset import Sizes


class Cifar(Archive):
    """What both have in common."""

    def published(self, torchvision: Any, root: Path) -> list[Published]:
        """One archive."""
        target = root / torchvision.filename
        return [Published(addresses=(torchvision.url,), target=target, md5=torchvision.tgz_md5)]

    def pixels(self, data: Any) -> np.ndarray:
        """(N, 32, 32, 3) -> (N, 3, 32, 32)."""
        moved: np.ndarray = data.transpose(0, 3, 1, 2)
        return moved


class Cifar10(Cifar):
    """Ten classes."""

    torchvision_name = "CIFAR10"
    folder = Path("cifar-10-batches-py")
    files = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    known = Sizes(train=50_000, test=10_000, train_per_class=(5_000,) * 10)


class Cifar100(Cifar):
    """A hundred classes."""

    torchvision_name = "CIFAR100"
    folder = Path("cifar-100-python")
    files = ("train", "test", "meta")
    known = Sizes(train=50_000, test=10_000, train_per_class=(500,) * 100)
