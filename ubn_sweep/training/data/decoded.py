"""Small images as one tensor, and what must hold of their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ubn_sweep.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The training set (validation included) or the test set. All runs of a process share it: never write."""

    pixels: Tensor
    """(N, C, H, W) uint8."""
    labels: Tensor
    """(N,) int64, below num_classes."""
    num_classes: int


def check_labels(labels: np.ndarray, num_classes: int, *, where: str) -> None:
    """Labels count from 0.

    Raises:
        UserError: one is negative or too high.
    """
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise UserError(
            f"dataset.root: labels in `{where}` must lie from 0 to {num_classes - 1}, but one is {wrong}: "
            "remove unlabelled images, or name all classes"
        )
