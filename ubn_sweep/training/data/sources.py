"""Small images, decoded once per process: reused workers run many trials on the same data."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ubn_sweep.training.config import DatasetConfig, DatasetName
from ubn_sweep.training.data import files
from ubn_sweep.training.data.decoded import Decoded
from ubn_sweep.training.data.splits import balanced_subset, stratified_split

Part = Literal["train", "test"]
DIGITS_TEST_SHARE = 0.2
DIGITS_MAX = 16
DECODED_PARTS_KEPT = 4


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the decoded images depend on."""

    name: DatasetName
    root: Path | None
    part: Part
    examples: int | None
    split_seed: int
    image_size_px: int | None
    fingerprint: files.Fingerprint


def load(dataset: DatasetConfig, part: Part) -> Decoded:
    """The images of a part, from the cache where the files have not changed since.

    Raises:
        UserError: they are not there, or cannot be read.
    """
    root = None if dataset.name == "digits" else files.root_of(dataset)
    if root is not None and dataset.download:
        from ubn_sweep.training.data.cifar import download

        download(dataset.name, root)
    return _decode(
        Request(
            name=dataset.name,
            root=root,
            part=part,
            examples=dataset.train_examples if part == "train" else dataset.test_examples,
            split_seed=dataset.split_seed,
            image_size_px=dataset.image_size_px,
            fingerprint=_fingerprint(dataset.name, root, part),
        )
    )


def _fingerprint(name: DatasetName, root: Path | None, part: Part) -> files.Fingerprint:
    if root is None:
        return ()
    if name == "parquet":
        return files.fingerprint(files.parquet_part(root, part))
    return files.fingerprint(path for path in files.cifar_files(name, root) if path.exists())


@functools.lru_cache(maxsize=DECODED_PARTS_KEPT)
def _decode(request: Request) -> Decoded:
    if request.name == "digits":
        decoded = _digits(request.part)
    elif request.name == "parquet":
        from ubn_sweep.training.data.parquet import read_parquet

        assert request.root is not None
        # Rows are chosen before their images are decoded.
        return read_parquet(
            files.parquet_part(request.root, request.part),
            functools.partial(_choose, request),
            image_size_px=request.image_size_px,
        )
    else:
        from ubn_sweep.training.data.cifar import read_cifar

        assert request.root is not None
        decoded = read_cifar(request.name, request.root, request.part)
    chosen = torch.from_numpy(_choose(request, decoded.labels.numpy()))
    return Decoded(
        pixels=_resize(decoded.pixels[chosen], request.image_size_px),
        labels=decoded.labels[chosen],
        num_classes=decoded.num_classes,
    )


def _choose(request: Request, labels: np.ndarray) -> np.ndarray:
    return balanced_subset(
        labels, request.examples, seed=request.split_seed, key=f"dataset.{request.part}_examples"
    )


def _digits(part: Part) -> Decoded:
    """scikit-learn's handwritten digits; a fifth, the same always, is the test set."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / DIGITS_MAX)).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    train, test = stratified_split(labels, DIGITS_TEST_SHARE, seed=0)
    chosen = train if part == "train" else test
    return Decoded(
        pixels=torch.from_numpy(pixels[chosen]), labels=torch.from_numpy(labels[chosen]), num_classes=10
    )


def _resize(pixels: Tensor, size: int | None) -> Tensor:
    if size is None or tuple(pixels.shape[-2:]) == (size, size):
        return pixels
    return F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
