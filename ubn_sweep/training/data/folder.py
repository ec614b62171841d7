"""Images in a folder for each class, the layout of ImageNet's archives."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.dataset import Dataset, Part
from ubn_sweep.training.data.folder_layout import (
    class_names,
    is_image,
    test_folder,
    train_folder,
    validation_folder,
)
from ubn_sweep.training.data.image_size import ImageSize

if TYPE_CHECKING:
    import torch

    from ubn_sweep.training.data.images import Splits


class ImageFolder(Dataset):
    """`root/train/CLASS/...` is the training set, out of which the validation split is held; `root/test/CLASS/...` is
    the test set, or `root/val` where there is no `test`; with `own_validation` that is the validation set. Its sizes
    are not known before a run has listed the files."""

    has_validation = True

    def check(self) -> None:
        """Whether both folders are there with the same classes, and no class is empty."""
        root = self.root()
        self._check_image_size()
        own_validation = self.config.own_validation
        train = train_folder(root)
        others = [validation_folder(root)] if own_validation else []
        others.append(test_folder(root, own_validation=own_validation))
        for other in others:
            unknown = sorted(set(class_names(other)) - set(class_names(train)))
            if unknown:
                raise UserError(
                    f"dataset.root: classes of `{other}` must be among those of `{train}`, but `{unknown[0]}` is "
                    "not: rename or remove it"
                )
        for folder in (train, *others):
            for name in class_names(folder):
                if not any(is_image(path.name) for path in (folder / name).rglob("*")):
                    raise UserError(f"dataset.root: `{folder / name}` has no images: fill or remove it")
        super().check()

    def load(self, *, hold_out: bool, device: torch.device, threads: int | None = None) -> Splits:
        """One thread decodes in this process; more are as many other processes."""
        from ubn_sweep.training.data.folder_listing import folder_fingerprint, list_images
        from ubn_sweep.training.data.looking import Look  # torch: only where images are read
        from ubn_sweep.training.data.streamed import StreamedPart, split_streamed

        root, size = self.root(), self._check_image_size()
        classes = tuple(class_names(train_folder(root)))

        fingerprint = folder_fingerprint(train_folder(root))
        if self.config.own_validation:
            fingerprint += folder_fingerprint(validation_folder(root))

        def part(name: Part) -> StreamedPart:
            paths, labels = list_images(self._folder(root, name), classes)
            return StreamedPart(source=paths, labels=labels)

        return split_streamed(
            self.config,
            part,
            Look(size, fingerprint),
            num_classes=len(classes),
            hold_out=hold_out,
            device=device,
            threads=threads,
        )

    def identity(self) -> str:
        """By its classes, and how many images and folders lie in each: a million of them are counted, not looked at."""
        root = self.root()
        parts: tuple[Part, ...] = (
            ("train", "validation", "test") if self.config.own_validation else ("train", "test")
        )
        folders = [(part, self._folder(root, part)) for part in parts]
        found = [
            (part, name, _entries(folder / name)) for part, folder in folders for name in class_names(folder)
        ]
        return hashlib.sha256(repr((self.config.name, found)).encode()).hexdigest()[:16]

    def _folder(self, root: Path, part: Part) -> Path:
        if part == "train":
            return train_folder(root)
        if part == "validation":
            return validation_folder(root)
        return test_folder(root, own_validation=self.config.own_validation)

    def _check_image_size(self) -> ImageSize:
        size = self.config.image_size_px
        if size is None:
            raise UserError("dataset.image_size_px: `imagefolder` needs it, but got null: 224 is usual")
        return size


def _entries(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(is_image(entry.name) or entry.is_dir() for entry in entries)
