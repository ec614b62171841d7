"""What the loop asks of images, whether they lie in memory or in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ubn_sweep.training.data.image_size import ImageSize
from ubn_sweep.training.data.normalization import Normalization
from ubn_sweep.training.share import WHOLE, Ends, Share

Batch = tuple[Tensor, Tensor]
"""Normalised images (N, C, H, W) float32 and labels, (N,) int64 or (N, num_classes) uint8, on the device."""


class Images(Protocol):
    """One split of a data set."""

    normalize: Normalization
    """What makes its pixels the network's input."""

    def __len__(self) -> int: ...

    def take(self, positions: Tensor) -> Batch:
        """These images as they are, without augmentation; positions (N,) int64."""
        ...

    def shuffled(self, batch_size: int, *, seed: int, epoch: int, share: Share = WHOLE) -> Iterator[Batch]:
        """Augmented training batches; the same for the same seed and epoch.

        Of several workers each takes its share of every joint batch, which `batch_ends` cuts: together they see what
        one would with as many times the batch size.
        """
        ...

    def in_order(self, batch_size: int, *, share: Share = WHOLE) -> Iterator[Batch]:
        """All images as they are, for evaluation; of several workers each takes its share of them."""
        ...


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The splits of a data set, as one training run sees them."""

    train: Images
    validation: Images | None
    """None in the final training, which holds nothing out."""
    load_test: Callable[[], Images]
    """Reads the test set, which nothing else does."""
    num_classes: int
    in_channels: int
    image_size_px: ImageSize


def batch_ends(examples: int, batch_size: int, share: Share = WHOLE) -> Ends:
    """Where each training batch begins and ends: the joint one, of as many times `batch_size` as there are workers.

    The last, incomplete batch is left out where it has less than half a batch's images (or only one a worker): its
    statistics would be much noisier than the others'. Each epoch shuffles anew, so that no image is lost for
    good. A set smaller than a batch is one batch.
    """
    size = min(batch_size * share.count, examples)
    ends = [(begin, min(begin + size, examples)) for begin in range(0, examples, size)]
    begin, end = ends[-1]
    if end - begin < max(2 * share.count, size / 2):
        ends.pop()
    return ends
