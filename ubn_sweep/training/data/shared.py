"""A worker's batches of a split that several workers train on, whoever wrote the split."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ubn_sweep.training.data.images import Batch, Images, batch_ends
from ubn_sweep.training.share import Share


def training_batches(
    images: Images, batch_size: int, *, seed: int, epoch: int, share: Share
) -> Iterator[Batch]:
    """The worker's part of each joint batch. Images of one's own that know nothing of shares give whole batches."""
    if share.is_whole:
        return images.shuffled(batch_size, seed=seed, epoch=epoch)
    if _knows_shares(images.shuffled):
        return images.shuffled(batch_size, seed=seed, epoch=epoch, share=share)
    joint = images.shuffled(batch_size * share.count, seed=seed, epoch=epoch)
    count = len(batch_ends(len(images), batch_size, share))
    return ((share.of(pixels), share.of(labels)) for pixels, labels in itertools.islice(joint, count))


def evaluation_batches(images: Images, batch_size: int, *, share: Share) -> Iterator[Batch]:
    """The worker's part of all images, in their order."""
    if share.is_whole:
        return images.in_order(batch_size)
    if _knows_shares(images.in_order):
        return images.in_order(batch_size, share=share)
    return _cut_out(images.in_order(batch_size), *share.bounds(len(images)))


def _knows_shares(method: Callable[..., Any]) -> bool:
    return "share" in inspect.signature(method).parameters


def _cut_out(batches: Iterator[Batch], begin: int, end: int) -> Iterator[Batch]:
    position = 0
    for pixels, labels in batches:
        first, last = max(begin - position, 0), min(end - position, len(labels))
        position += len(labels)
        if first < last:
            yield pixels[first:last], labels[first:last]
