"""What a network must know of images that are too many to be looked at: colours, and mean and spread of the pixels."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import torch

from ubn_sweep.progress import progress
from ubn_sweep.training.data.dataset import Fingerprint
from ubn_sweep.training.data.decoding import all_grey
from ubn_sweep.training.data.image_size import ImageSize
from ubn_sweep.training.data.normalization import Normalization
from ubn_sweep.training.data.sources import Source, some_positions
from ubn_sweep.training.data.streamed import decoded
from ubn_sweep.training.data.transforms import plain_transform

IMAGES_LOOKED_AT = 512
"""Evenly spaced over the training set: a whole pass would take an epoch's time."""
Positions = npt.NDArray[np.int64]
STRETCHES_LOOKED_AT = 16
"""Of those that are read as a whole."""


class Look:
    """Looks at some of the training images, once for all trials of a process.

    Args:
        fingerprint: changes when the files do.
    """

    def __init__(self, size: ImageSize, fingerprint: Fingerprint) -> None:
        self._size, self._fingerprint = size, fingerprint

    def __call__(self, source: Source, known: Positions, trained_on: Positions) -> tuple[bool, Normalization]:
        """Whether none of the known images has colours, so that all are decoded grey; and what normalises those trained
        on."""
        images = _Images(source)
        grey = _is_grey_set(images, _some(source, known), self._fingerprint)
        return grey, _normalization(images, _some(source, trained_on), self._size, grey, self._fingerprint)


class _Images:
    """A source, which the cache does not look at: the fingerprint says whether it is the same."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Images)

    def __hash__(self) -> int:
        return 0


def _some(source: Source, positions: Positions) -> tuple[int, ...]:
    return tuple(some_positions(source, positions, IMAGES_LOOKED_AT, STRETCHES_LOOKED_AT))


@functools.lru_cache(maxsize=4)
def _is_grey_set(images: _Images, positions: tuple[int, ...], fingerprint: Fingerprint) -> bool:
    return all_grey(images.source.open(position) for position in positions)


@functools.lru_cache(maxsize=4)
def _normalization(
    images: _Images, positions: tuple[int, ...], size: ImageSize, grey: bool, fingerprint: Fingerprint
) -> Normalization:
    transform = plain_transform(size)
    pictures = []
    with progress("decoding images for their mean", total=len(positions)) as advance:
        for position in positions:
            pictures.append(transform(decoded(images.source, position, grey=grey)))
            advance(1)
    return Normalization.of(torch.stack(pictures))
