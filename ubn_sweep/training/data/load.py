"""DatasetConfig -> the splits that one run trains, validates and tests on."""

from __future__ import annotations

import torch

from ubn_sweep.training.config import DatasetConfig
from ubn_sweep.training.data import sources
from ubn_sweep.training.data.decoded import check_labels
from ubn_sweep.training.data.images import Dataset
from ubn_sweep.training.data.memory import MemoryImages
from ubn_sweep.training.data.normalization import Normalization
from ubn_sweep.training.data.splits import split_training_set


def load_dataset(
    dataset: DatasetConfig, *, hold_out: bool, device: torch.device, threads: int | None = None
) -> Dataset:
    """Splits the (subset of the) training set; with `hold_out=False` all of it is trained on.

    The normalization is that of the images trained on. The test set is read when `load_test` is called.

    Raises:
        UserError: the data is not there, or too small to be split.
    """
    if dataset.name == "imagefolder":
        from ubn_sweep.training.data.folder import load_image_folder

        return load_image_folder(dataset, hold_out=hold_out, device=device, threads=threads)
    return _load_small(dataset, hold_out=hold_out, device=device)


def _load_small(dataset: DatasetConfig, *, hold_out: bool, device: torch.device) -> Dataset:
    decoded = sources.load(dataset, "train")
    pixels, labels = decoded.pixels, decoded.labels
    validation = None
    if hold_out:
        rest, held_out = (torch.from_numpy(part) for part in split_training_set(labels.numpy(), dataset))
        validation_pixels, validation_labels = pixels[held_out], labels[held_out]
        pixels, labels = pixels[rest], labels[rest]
    normalization = Normalization.of(pixels)

    def place(pixels: torch.Tensor, labels: torch.Tensor, augmentation: str = "none") -> MemoryImages:
        return MemoryImages(pixels.to(device), labels.to(device), normalization, augmentation=augmentation)

    def load_test() -> MemoryImages:
        test = sources.load(dataset, "test")
        check_labels(test.labels.numpy(), decoded.num_classes, where=str(dataset.root))
        return place(test.pixels, test.labels)

    if hold_out:
        validation = place(validation_pixels, validation_labels)
    return Dataset(
        train=place(pixels, labels, dataset.augmentation),
        validation=validation,
        load_test=load_test,
        num_classes=decoded.num_classes,
        in_channels=pixels.shape[1],
        image_size_px=pixels.shape[-1],
    )
