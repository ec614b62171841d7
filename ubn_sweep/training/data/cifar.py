"""CIFAR-10 and CIFAR-100 through torchvision, which checks the archives' sums."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ubn_sweep.errors import UserError
from ubn_sweep.training.config import DatasetName
from ubn_sweep.training.data.decoded import Decoded
from ubn_sweep.training.data.files import CIFAR_FILES


def read_cifar(name: DatasetName, root: Path, part: Literal["train", "test"]) -> Decoded:
    """All images of a part.

    Raises:
        UserError: files are absent or damaged.
    """
    try:
        data = _torchvision_class(name)(root, train=part == "train")
    except (RuntimeError, OSError) as error:
        folder = root / CIFAR_FILES[name][0]
        raise UserError(
            f"dataset.root: `{folder}` must hold the archive of {name}, but files are absent or damaged: "
            "fetch it again, or set dataset.download to true"
        ) from error
    pixels = torch.from_numpy(np.ascontiguousarray(data.data.transpose(0, 3, 1, 2)))
    return Decoded(pixels=pixels, labels=torch.tensor(data.targets), num_classes=len(data.classes))


def download(name: DatasetName, root: Path) -> None:
    """Fetches and unpacks the archive unless it is there. Trials that start together wait for one another.

    Raises:
        UserError: it cannot be fetched, or the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (root / ".download.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _torchvision_class(name)(root, download=True)
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"dataset.download: {name} cannot be fetched into `{root}` ({error}): "
            "fetch it elsewhere and copy it there"
        ) from error


def _torchvision_class(name: DatasetName) -> Any:
    from torchvision import datasets

    return {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
