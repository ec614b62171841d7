"""The base of published archives that torchvision downloads, unpacks, checks and reads."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ubn_sweep.errors import UserError
from ubn_sweep.file_lock import file_lock
from ubn_sweep.training.data.dataset import Fingerprint, Part, Sizes, fingerprint_of
from ubn_sweep.training.data.downloads import download
from ubn_sweep.training.data.in_memory import InMemoryDataset
from ubn_sweep.training.data.labelled import LabelledImages


@dataclass(frozen=True, kw_only=True)
class Published:
    """A file as it is published."""

    addresses: tuple[str, ...]
    """Where it lies, the first choice first."""
    target: Path
    """Where torchvision looks for it."""
    md5: str


class Archive(InMemoryDataset):
    """A subclass names torchvision's class and the files that it needs below `dataset.root`."""

    downloads = True
    torchvision_name: ClassVar[str]
    folder: ClassVar[Path]
    """Of the unpacked archive, below the root."""
    files: ClassVar[tuple[str, ...]]
    known: ClassVar[Sizes]

    @abstractmethod
    def pixels(self, data: Any) -> np.ndarray:
        """What torchvision's class holds as `data`, as (N, C, H, W)."""

    def sizes(self) -> Sizes:
        """As published."""
        return self.known

    def check(self) -> None:
        """Whether the unpacked files are there, or may be downloaded."""
        super().check()
        root = self.root()
        absent = [path for path in self._paths(root) if not path.is_file()]
        if absent and not self.config.download:
            raise UserError(
                f"dataset.root: `{root}` must hold {absent[0].relative_to(root)}, but does not: "
                "give the folder above the archive's, or set dataset.download to true"
            )

    def fingerprint(self, part: Part) -> Fingerprint:
        """Of all files: the parts are not told apart."""
        return fingerprint_of(path for path in self._paths(self.root()) if path.exists())

    @abstractmethod
    def published(self, torchvision: Any, root: Path) -> list[Published]:
        """What is downloaded, by torchvision's class."""

    def fetch(self) -> None:
        """Downloads and unpacks unless it is there. Trials that start together wait for one another."""
        root = self.root()
        try:
            with file_lock(root / ".download.lock", patience_s=-1):
                torchvision = self._torchvision_class()
                if not self.is_there():  # torchvision would do it too, but its bars fill logs
                    for file in self.published(torchvision, root):
                        download(file.addresses, file.target, md5=file.md5)
                torchvision(root, download=True)
        except (RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"dataset.download: {self.config.name} cannot be fetched into `{root}` ({reason}): "
                "fetch it elsewhere and copy it there"
            ) from error

    def read(self, part: Part) -> LabelledImages:
        """Through torchvision."""
        root = self.root()
        try:
            data = self._torchvision_class()(root, train=part == "train")
        # torchvision states its rules for MNIST's files as assertions, among others.
        except (RuntimeError, OSError, ValueError, TypeError, AssertionError, LookupError) as error:
            raise UserError(
                f"dataset.root: `{root / self.folder}` must hold the archive of {self.config.name}, but files are "
                "absent or damaged: fetch it again, or set dataset.download to true"
            ) from error
        return LabelledImages(
            pixels=np.ascontiguousarray(self.pixels(data.data)),
            labels=np.asarray(data.targets, dtype=np.int64),
            num_classes=len(data.classes),
        )

    def is_there(self) -> bool:
        """Whether all files are, unpacked; what is in them is looked at later."""
        return all(path.is_file() for path in self._paths(self.root()))

    def _paths(self, root: Path) -> list[Path]:
        return [root / self.folder / file for file in self.files]

    def _torchvision_class(self) -> Any:
        from torchvision import datasets  # needs torch, which looking for the files does not

        return getattr(datasets, self.torchvision_name)
