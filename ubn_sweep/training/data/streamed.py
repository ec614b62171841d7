"""Large images in folders: decoded by a loader in every epoch, since they do not fit into memory.

Each image's augmentation follows from seed, epoch and image alone,
whichever process of the loader draws it. Images are normalised by the mean and the standard deviation of
some images of the training split.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.augmentation import paddings_px
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.dataset import Fingerprint, Part, fingerprint_of
from ubn_sweep.training.data.decoding import all_grey, open_image
from ubn_sweep.training.data.folder_layout import (
    class_names,
    is_image,
    test_folder,
    train_folder,
    validation_folder,
)
from ubn_sweep.training.data.image_size import ImageSize, sides_px, size_of
from ubn_sweep.training.data.images import Batch, Splits, batch_ends
from ubn_sweep.training.data.normalization import Normalization
from ubn_sweep.training.data.splits import balanced_subset, split_training_set
from ubn_sweep.training.seeds import derive_seed, generator_for, global_seed
from ubn_sweep.training.share import WHOLE, Share

IMAGES_LOOKED_AT = 512
"""Evenly spaced over the training set: a whole pass would take an epoch's time."""
EVALUATION_ENLARGEMENT = 256 / 224
"""resized_crop_flip shows objects larger than they are; evaluation makes up for it by a central crop."""
CPU = torch.device("cpu")


class ImageFiles:
    """A loader's dataset: position -> picture (C, H, W) uint8. Pickled into the loader's processes."""

    def __init__(self, paths: Sequence[Path], transform: nn.Module, *, grey: bool, seed: int | None) -> None:
        self.paths = paths
        self.transform = transform
        self.grey = grey
        self.seed = seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> Tensor:
        path = self.paths[position]
        try:
            picture = v2.functional.pil_to_tensor(open_image(str(path), grey=self.grey))
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"dataset.root: `{path}` cannot be decoded ({error}): replace it") from None
        if self.seed is None:
            return self.transform(picture)
        with global_seed(derive_seed(self.seed, "image", position), CPU):
            return self.transform(picture)


class FolderImages:
    """A split of an image folder."""

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Tensor,
        *,
        dataset: DatasetConfig,
        grey: bool,
        normalization: Normalization,
        device: torch.device,
        workers: int,
    ) -> None:
        self.paths = paths
        self.labels = labels
        self.dataset = dataset
        self.grey = grey
        self.normalize = normalization.to(device)
        self.device = device
        self.workers = workers

    def __len__(self) -> int:
        return len(self.paths)

    def shuffled(self, batch_size: int, *, seed: int, epoch: int, share: Share = WHOLE) -> Iterator[Batch]:
        """Augmented training batches; the same for the same seed and epoch."""
        order = torch.randperm(len(self), generator=generator_for(seed, "order", epoch))
        batches = [share.of(order[begin:end]) for begin, end in batch_ends(len(self), batch_size, share)]
        transform = training_transform(self.dataset)
        return self._load(batches, transform, seed=derive_seed(seed, "augmentation", epoch))

    def in_order(self, batch_size: int, *, share: Share = WHOLE) -> Iterator[Batch]:
        """All images as they are, for evaluation."""
        own: Tensor = share.of(torch.arange(len(self)))
        batches = [batch for batch in own.split(batch_size) if len(batch) > 0]
        return self._load(batches, evaluation_transform(self.dataset), seed=None)

    def _load(self, batches: list[Tensor], transform: nn.Module, *, seed: int | None) -> Iterator[Batch]:
        loader: DataLoader[Tensor] = DataLoader(
            ImageFiles(self.paths, transform, grey=self.grey, seed=seed),  # type: ignore[arg-type]
            batch_sampler=[batch.tolist() for batch in batches],
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it draws from the global one
        )
        for batch, pixels in zip(batches, _one_line_errors(loader), strict=True):
            labels = self.labels[batch].to(self.device, non_blocking=True)
            yield self.normalize(pixels.to(self.device, non_blocking=True)), labels


def _one_line_errors(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """An error of a loader's process comes wrapped in its traceback; the last line is the error."""
    try:
        yield from batches
    except UserError as error:
        message = str(error).strip().splitlines()[-1]
        raise UserError(message.removeprefix(f"{UserError.__module__}.{UserError.__name__}: ")) from error


def split_image_folder(
    root: Path, dataset: DatasetConfig, *, hold_out: bool, device: torch.device, threads: int | None
) -> Splits:
    """The splits of an image folder. One thread decodes in this process; more are as many other processes.

    Raises:
        UserError: the folders are not as they should be.
    """
    assert dataset.image_size_px is not None
    classes = tuple(class_names(train_folder(root)))
    threads = torch.get_num_threads() if threads is None else threads
    paths, labels = _subset(train_folder(root), classes, dataset, "train")
    grey = _is_grey_set(tuple(paths))
    rest, held_out = np.arange(len(paths)), np.zeros(0, dtype=np.int64)
    if dataset.own_validation:
        more, more_labels = _subset(validation_folder(root), classes, dataset, "validation")
        paths, labels = [*paths, *more], np.concatenate([labels, more_labels])
        everything, border = np.arange(len(paths)), len(rest) if hold_out else len(paths)
        rest, held_out = everything[:border], everything[border:]
    elif hold_out:
        rest, held_out = split_training_set(labels, dataset)
    place = functools.partial(
        FolderImages,
        dataset=dataset,
        grey=grey,
        normalization=_normalization(tuple(paths[i] for i in rest), dataset.image_size_px, grey),
        device=device,
        workers=0 if threads == 1 else threads,
    )

    def split(indices: np.ndarray) -> FolderImages:
        return place([paths[i] for i in indices], torch.from_numpy(labels[indices]))

    def load_test() -> FolderImages:
        folder = test_folder(root, own_validation=dataset.own_validation)
        test_paths, test_labels = _subset(folder, classes, dataset, "test")
        return place(test_paths, torch.from_numpy(test_labels))

    return Splits(
        train=split(rest),
        validation=split(held_out) if hold_out else None,
        load_test=load_test,
        num_classes=len(classes),
        in_channels=1 if grey else 3,
        image_size_px=size_of(*sides_px(dataset.image_size_px)),
    )


def training_transform(dataset: DatasetConfig) -> nn.Module:
    """Picture (C, H, W) uint8 -> augmented (C, H, W) uint8."""
    size = dataset.image_size_px
    assert size is not None
    height, width = sides_px(size)
    if dataset.augmentation == "resized_crop_flip":
        ratio = width / height
        crop = v2.RandomResizedCrop((height, width), ratio=(3 / 4 * ratio, 4 / 3 * ratio), antialias=True)
        return v2.Compose([crop, v2.RandomHorizontalFlip()])
    if dataset.augmentation == "crop_flip":
        above, left = paddings_px(size)
        shifted = v2.RandomCrop((height, width), padding=[left, above])
        return v2.Compose([*_to_size(size), shifted, v2.RandomHorizontalFlip()])
    return v2.Compose(_to_size(size))


def evaluation_transform(dataset: DatasetConfig) -> nn.Module:
    """Picture (C, H, W) uint8 -> (C, H, W) uint8."""
    size = dataset.image_size_px
    assert size is not None
    enlarged = dataset.augmentation == "resized_crop_flip"
    return v2.Compose(_to_size(size, enlargement=EVALUATION_ENLARGEMENT if enlarged else 1.0))


class _Cover(nn.Module):
    """Resizes a picture until it just covers a size, enlarged; its ratio stays."""

    def __init__(self, size: ImageSize, enlargement: float) -> None:
        super().__init__()
        self.height, self.width = (round(side * enlargement) for side in sides_px(size))

    def forward(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        if self.height * width <= self.width * height:
            to = [max(self.height, self.width * height // width), self.width]
        else:
            to = [self.height, max(self.width, self.height * width // height)]
        resized: Tensor = v2.functional.resize(picture, to, antialias=True)
        return resized


def _to_size(size: ImageSize, *, enlargement: float = 1.0) -> list[nn.Module]:
    return [_Cover(size, enlargement), v2.CenterCrop(list(sides_px(size)))]


def _subset(
    folder: Path, classes: tuple[str, ...], dataset: DatasetConfig, part: Part
) -> tuple[list[Path], np.ndarray]:
    names = class_names(folder)
    paths, labels = _list_images(
        folder, classes, fingerprint_of([folder, *(folder / name for name in names)])
    )
    size = {"train": dataset.train_examples, "validation": None, "test": dataset.test_examples}[part]
    chosen = balanced_subset(labels, size, seed=dataset.split_seed, key=f"dataset.{part}_examples")
    return [paths[i] for i in chosen], labels[chosen]


@functools.lru_cache(maxsize=4)
def _list_images(
    folder: Path, classes: tuple[str, ...], fingerprint: Fingerprint
) -> tuple[list[Path], np.ndarray]:
    """Paths and labels; `fingerprint` only tells when the list is out of date."""
    paths: list[Path] = []
    labels: list[int] = []
    for name in class_names(folder):
        if name not in classes:
            raise UserError(
                f"dataset.root: `{folder / name}` is no class of the training set: remove or rename it"
            )
        found = sorted(path for path in (folder / name).rglob("*") if is_image(path))
        if not found:
            raise UserError(f"dataset.root: `{folder / name}` has no images: fill or remove it")
        paths += found
        labels += [classes.index(name)] * len(found)
    return paths, np.array(labels, dtype=np.int64)


@functools.lru_cache(maxsize=4)
def _is_grey_set(paths: tuple[Path, ...]) -> bool:
    """Whether none of the images looked at has colours: then all are decoded grey, else all in colours."""
    return all_grey(str(path) for path in _some(paths))


@functools.lru_cache(maxsize=4)
def _normalization(paths: tuple[Path, ...], size: ImageSize, grey: bool) -> Normalization:
    images = ImageFiles(_some(paths), v2.Compose(_to_size(size)), grey=grey, seed=None)
    return Normalization.of(torch.stack([images[i] for i in range(len(images))]))


def _some(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return paths[:: -(-len(paths) // IMAGES_LOOKED_AT)]
