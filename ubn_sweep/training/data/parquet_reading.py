"""Images in Hugging Face's Parquet layout, decoded into one array; only the chosen rows are decoded."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ubn_sweep.errors import UserError
from ubn_sweep.progress import progress
from ubn_sweep.training.data.decoding import open_image, to_size
from ubn_sweep.training.data.image_size import ImageSize
from ubn_sweep.training.data.labelled import LabelledImages, check_labels
from ubn_sweep.training.data.parquet_layout import ParquetLayout, labels_of, layout_of, number_of_classes

Choose = Callable[[np.ndarray], np.ndarray]
"""All labels -> the rows to take, ascending."""


def read_parquet(
    shards: Sequence[Path], choose: Choose, *, image_size_px: ImageSize | None
) -> LabelledImages:
    """The chosen rows of all shards, in their order.

    Raises:
        UserError: columns are absent, labels are out of range, or images are damaged or of several sizes.
    """
    layouts = [layout_of(shard) for shard in shards]
    labels = np.concatenate([labels_of(shard, layout) for shard, layout in zip(shards, layouts, strict=True)])
    num_classes = number_of_classes(layouts[0], labels)
    check_labels(labels, num_classes, where=str(shards[0].parent))
    rows = choose(labels)
    read = functools.partial(_array, image_size_px=image_size_px)
    images = []
    with progress("decoding images", total=len(rows)) as advance:
        for row, encoded in _encoded(shards, layouts, rows):
            images.append(_decode(encoded, row, shards[0].parent, read))
            advance(1)
    _check_sizes(images, shards[0].parent)
    pixels = np.ascontiguousarray(np.stack(_of_one_kind(images)).transpose(0, 3, 1, 2))
    return LabelledImages(pixels=pixels, labels=labels[rows], num_classes=num_classes)


def _encoded(
    shards: Sequence[Path], layouts: Sequence[ParquetLayout], rows: np.ndarray
) -> Iterator[tuple[int, bytes | None]]:
    """Row number and encoded image of the chosen rows, one row group in memory at a time."""
    begin = 0
    for shard, layout in zip(shards, layouts, strict=True):
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                chosen = rows[(rows >= begin) & (rows < end)]
                if len(chosen):
                    column = file.read_row_group(group, columns=[layout.image])[layout.image]
                    images = column.take(chosen - begin).combine_chunks().field("bytes")
                    yield from ((int(row), image.as_py()) for row, image in zip(chosen, images, strict=True))
                begin = end


def _decode(encoded: bytes | None, row: int, root: Path, read: Callable[[io.BytesIO], Any]) -> Any:
    if encoded is None:
        raise UserError(
            f"dataset.root: images must lie in the Parquet files of `{root}`, but that of row {row} is only "
            "a path: save the dataset with its images embedded"
        )
    try:
        return read(io.BytesIO(encoded))
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"dataset.root: the image of row {row} in `{root}` cannot be decoded ({error}): fetch it again"
        ) from error


def _array(file: io.BytesIO, *, image_size_px: ImageSize | None) -> np.ndarray:
    """(H, W, 1) or (H, W, 3), as the image is."""
    image = open_image(file, grey=None)
    if image_size_px is not None:
        image = to_size(image, image_size_px)
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def _of_one_kind(images: list[np.ndarray]) -> list[np.ndarray]:
    """Grey where all are; else a grey image among those in colours has three equal channels."""
    channels = max(image.shape[2] for image in images)
    return [np.broadcast_to(image, (*image.shape[:2], channels)) for image in images]


def _check_sizes(images: list[np.ndarray], root: Path) -> None:
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) > 1:
        shown = ", ".join(f"{width}x{height}" for height, width in sizes[:3])
        raise UserError(
            f"dataset.image_size_px: images in `{root}` must be of one size, but there are {shown}: "
            "give the size to bring them to"
        )
