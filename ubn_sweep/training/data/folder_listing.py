"""The images of a folder for each class, listed: paths and labels, a million of them without a million objects."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.dataset import Fingerprint, fingerprint_of
from ubn_sweep.training.data.folder_layout import class_names, is_image
from ubn_sweep.training.data.sources import PackedPaths


def folder_fingerprint(folder: Path) -> Fingerprint:
    """Changes when images of a class are added or removed."""
    return fingerprint_of([folder, *(folder / name for name in class_names(folder))])


def list_images(folder: Path, classes: tuple[str, ...]) -> tuple[PackedPaths, npt.NDArray[np.int64]]:
    """Paths and labels, class by class; kept while the process lives and the folders stay as they are.

    Raises:
        UserError: a class is none of the training set's, or has no images.
    """
    return _listed(folder, classes, folder_fingerprint(folder))


@functools.lru_cache(maxsize=4)
def _listed(
    folder: Path, classes: tuple[str, ...], fingerprint: Fingerprint
) -> tuple[PackedPaths, npt.NDArray[np.int64]]:
    counts: list[tuple[int, int]] = []

    def paths() -> Iterator[str]:
        for name in class_names(folder):
            if name not in classes:
                raise UserError(
                    f"dataset.root: `{folder / name}` is no class of the training set: remove or rename it"
                )
            found = sorted(_images_below(folder / name), key=lambda path: PurePath(path).parts)
            if not found:
                raise UserError(f"dataset.root: `{folder / name}` has no images: fill or remove it")
            counts.append((classes.index(name), len(found)))
            yield from found

    packed = PackedPaths(paths())
    return packed, np.concatenate([np.full(count, label, dtype=np.int64) for label, count in counts])


def _images_below(folder: Path) -> Iterator[str]:
    for place, _, files in os.walk(folder):
        yield from (f"{place}{os.sep}{file}" for file in files if is_image(file))
