"""Small images as tensors, read once per machine and kept by each process: reused workers run many trials on them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ubn_sweep import __version__
from ubn_sweep.training.data.dataset import Fingerprint, Part
from ubn_sweep.training.data.image_size import ImageSize, sides_px
from ubn_sweep.training.data.kept import through_files
from ubn_sweep.training.data.labelled import LabelledImages

PARTS_KEPT = 4


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The training set (validation included) or the test set. All runs of a process share it: never write."""

    pixels: Tensor
    """(N, C, H, W) uint8."""
    labels: Tensor
    """(N,) int64, below num_classes."""
    num_classes: int


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the decoded images depend on, and who reads them."""

    dataset: type
    name: str
    root: str | None
    options: str
    part: Part
    examples: int | None
    split_seed: int
    image_size_px: ImageSize | None
    fingerprint: Fingerprint
    read: Callable[[], LabelledImages] = field(compare=False)

    @property
    def key(self) -> str | None:
        """Names the images in files; None for what a file could outlive: a user's own code, and data without files."""
        own = not self.dataset.__module__.startswith("ubn_sweep.")
        if own or not self.fingerprint:
            return None
        parts = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.compare}
        text = repr(
            (__version__, self.dataset.__qualname__, [parts[name] for name in parts if name != "dataset"])
        )
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@functools.lru_cache(maxsize=PARTS_KEPT)
def decode(request: Request) -> Decoded:
    """Reads the images and brings them to their size.

    Raises:
        UserError: they are not there, or cannot be read.
    """
    key = request.key
    images = _sized(request) if key is None else through_files(key, functools.partial(_sized, request))
    return Decoded(
        pixels=_one_layout(torch.from_numpy(images.pixels)),
        labels=torch.from_numpy(images.labels),
        num_classes=images.num_classes,
    )


def _sized(request: Request) -> LabelledImages:
    images = request.read()
    pixels = _resize(torch.from_numpy(np.ascontiguousarray(images.pixels)), request.image_size_px)
    return dataclasses.replace(images, pixels=pixels.numpy())


def _resize(pixels: Tensor, size: ImageSize | None) -> Tensor:
    if size is None or tuple(pixels.shape[-2:]) == sides_px(size):
        return pixels
    return F.interpolate(pixels, size=sides_px(size), mode="bilinear", antialias=True)


def _one_layout(pixels: Tensor) -> Tensor:
    """Grey images are the same bytes in both of torch's memory formats, and the channel's stride alone tells which one
    the convolutions take. It is set here to that of channels last, whoever read the images: else bits would depend on
    how an array came about."""
    if pixels.shape[1] != 1:
        return pixels
    return pixels[:, 0].contiguous().unsqueeze(-1).permute(0, 3, 1, 2)
