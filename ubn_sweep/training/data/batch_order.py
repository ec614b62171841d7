"""Which images make the batches of an epoch, where images lie in stretches that are read as a whole.

Stretches (a Parquet file's row groups) are drawn in a random order, a few are open at once, and images are drawn out of
those. Each of several `lanes` does so with stretches of its own, and the lanes' batches take turns: the process that
decodes every so manieth batch then reads its own stretches alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ubn_sweep.training.share import Ends

OPEN_STRETCHES = 4
"""At least, so that a batch mixes several of them: files are often sorted by class."""
OPEN_IMAGES = 2048
"""At least; of ImageNet's sizes a quarter of a gigabyte for each process."""


def drawn_batches(
    positions: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64] | None,
    batches: Ends,
    *,
    lanes: int,
    generator: torch.Generator,
) -> list[Tensor]:
    """Indices into `positions`, batch by batch; each at most once.

    Args:
        positions: the images of a split, ascending.
        ends: where the stretches end; None draws images one by one.
        batches: where batches begin and end, one behind another; all of one size, but perhaps for a smaller last one.
    """
    count = len(positions)
    if ends is None:
        order = torch.randperm(count, generator=generator)
        return [order[begin:end] for begin, end in batches]
    sizes = [end - begin for begin, end in batches]
    size = sizes[0]
    groups = _groups(positions, ends)
    lanes = max(1, min(lanes, len(groups) // OPEN_STRETCHES))
    turn = torch.randperm(len(groups), generator=generator).tolist()
    drawn = [_lane([groups[i] for i in turn[lane::lanes]], generator) for lane in range(lanes)]
    whole = [list(rows.split(size))[: len(rows) // size] for rows in drawn]
    rest = torch.cat([rows[len(rows) // size * size :] for rows in drawn])
    rest = rest[torch.randperm(len(rest), generator=generator)]
    longest = max(map(len, whole))
    found = [batches[turn] for turn in range(longest) for batches in whole if turn < len(batches)]
    begin = 0
    for size in sizes[len(found) :]:
        found.append(rest[begin : begin + size])
        begin += size
    return found


def _groups(positions: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[Tensor]:
    """The indices of each stretch that has any."""
    inside = np.searchsorted(ends, positions, side="right")
    borders = np.flatnonzero(np.diff(inside)) + 1
    return [torch.from_numpy(part) for part in np.split(np.arange(len(positions)), borders)]


def _lane(groups: list[Tensor], generator: torch.Generator) -> Tensor:
    """Their images, drawn out of a few stretches at a time."""
    drawn, open_groups, images = [], [], 0
    for group in groups:
        open_groups.append(group)
        images += len(group)
        if len(open_groups) >= OPEN_STRETCHES and images >= OPEN_IMAGES:
            drawn.append(_shuffled(torch.cat(open_groups), generator))
            open_groups, images = [], 0
    if open_groups:
        drawn.append(_shuffled(torch.cat(open_groups), generator))
    return torch.cat(drawn)


def _shuffled(images: Tensor, generator: torch.Generator) -> Tensor:
    return images[torch.randperm(len(images), generator=generator)]
