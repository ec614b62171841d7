"""Small images as arrays, and what must hold of them and of their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.errors import UserError


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """A training set (validation included) or a test set, or some of its images."""

    pixels: npt.NDArray[np.uint8]
    """(N, C, H, W); C is 1 for grey and 3 for colours, or any number of other channels."""
    labels: npt.NDArray[np.int64] | npt.NDArray[np.uint8]
    """(N,) from 0, below num_classes; or rows (N, num_classes) of 0 and 1, where images have any number of labels."""
    num_classes: int


def checked(images: LabelledImages, *, where: str) -> LabelledImages:
    """The same, known to be of their types and shapes; `where` names the data set. Lists and other integers will do.

    Raises:
        UserError: says of what type and shape they are instead, or which label is out of range.
    """
    pixels, labels = np.asarray(images.pixels), np.asarray(images.labels)
    if pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise UserError(
            f"dataset.name: the pixels of `{where}` must be uint8 of shape (N, C, H, W), but are {pixels.dtype} of "
            f"shape {pixels.shape}: convert them"
        )
    if labels.ndim == 2:
        check_labels(labels, images.num_classes, where=where)
        return LabelledImages(pixels=pixels, labels=labels.astype(np.uint8), num_classes=images.num_classes)
    if labels.dtype.kind not in "iu" or labels.shape != pixels.shape[:1]:
        raise UserError(
            f"dataset.name: the labels of `{where}` must be integers of shape ({len(pixels)},), one for each image, "
            f"but are {labels.dtype} of shape {labels.shape}: convert them"
        )
    check_labels(labels, images.num_classes, where=where)
    return LabelledImages(
        pixels=pixels, labels=labels.astype(np.int64, copy=False), num_classes=images.num_classes
    )


def check_labels(labels: np.ndarray, num_classes: int, *, where: str) -> None:
    """Labels count from 0; in rows they are 0 and 1.

    Raises:
        UserError: one is negative or too high, or a row has another length.
    """
    if labels.ndim == 2:
        known = labels.dtype.kind in "iub" and not np.any((labels != 0) & (labels != 1))
        if labels.shape[1] != num_classes or not known:
            raise UserError(
                f"dataset.name: rows of labels in `{where}` must be 0 and 1 of shape (N, {num_classes}), but are "
                f"{labels.dtype} of shape {labels.shape}: convert them"
            )
        return
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise UserError(
            f"dataset.root: labels in `{where}` must lie from 0 to {num_classes - 1}, but one is {wrong}: "
            "remove unlabelled images, or name all classes"
        )
