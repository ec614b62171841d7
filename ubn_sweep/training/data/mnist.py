"""MNIST and Fashion-MNIST: 28x28 and grey, in the IDX format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ubn_sweep.training.data.archives import Archive, Published
from ubn_sweep.training.data.dataset import Sizes


class Mnist(Archive):
    """Handwritten digits."""

    torchvision_name = "MNIST"
    folder = Path("MNIST/raw")
    files = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    known = Sizes(
        train=60_000,
        test=10_000,
        train_per_class=(5_923, 6_742, 5_958, 6_131, 5_842, 5_421, 5_918, 6_265, 5_851, 5_949),
    )

    def published(self, torchvision: Any, root: Path) -> list[Published]:
        """Four files, each on several servers."""
        return [
            Published(
                addresses=tuple(f"{mirror}{name}" for mirror in torchvision.mirrors),
                target=root / self.folder / name,
                md5=md5,
            )
            for name, md5 in torchvision.resources
        ]

    def pixels(self, data: Any) -> np.ndarray:
        """(N, 28, 28), a tensor -> (N, 1, 28, 28)."""
        grey: np.ndarray = data.numpy()[:, None]
        return grey


class FashionMnist(Mnist):
    """Clothes, in the files of MNIST's names."""

    torchvision_name = "FashionMNIST"
    folder = Path("FashionMNIST/raw")
    known = Sizes(train=60_000, test=10_000, train_per_class=(6_000,) * 10)
