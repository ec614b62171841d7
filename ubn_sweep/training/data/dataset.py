"""What every data set answers: the base of the built-in classes and of a user's own. Importing it needs no torch,
so that a service can look for the data, and count it, without."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.training.data.config import DatasetConfig

if TYPE_CHECKING:
    import torch

    from ubn_sweep.training.data.images import Splits

Part = Literal["train", "validation", "test"]
Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Images of the whole sets, before any subset or split."""

    train: int
    test: int
    validation: int | None = None
    """Of a validation part of the data set's own; None where it has none."""
    train_per_class: tuple[int, ...] | None = None
    """None where the images would have to be read for it."""


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """The schema of `dataset.options` where a class states none."""


class Dataset(ABC):
    """One data set, as a config asks for it.

    A subclass for images that fit into memory derives from `in_memory.InMemoryDataset`; one that streams them
    gives `load` itself. A class may have keys of its own under `dataset.options`: it states them as `Options`,
    a dataclass whose fields have types and perhaps defaults, and finds them, checked, as `self.options`; a rule of
    its own is a ValueError in its `__post_init__`.

    Raises:
        UserError: `dataset.options` is not as `Options` states it.
    """

    Options: ClassVar[type] = NoOptions
    downloads: ClassVar[bool] = False
    """Whether `dataset.download` fetches it, so that the folder may be absent before."""
    has_validation: ClassVar[bool] = False
    """Whether it knows a part `validation` of its own, for `dataset.own_validation`."""

    def __init__(self, config: DatasetConfig) -> None:
        self.config = config
        if self.Options is NoOptions and config.options:
            key = next(iter(config.options))
            raise UserError(f"dataset.options: `{config.name}` has none, but got `{key}`: remove it")
        if config.own_validation and not self.has_validation:
            raise UserError(
                f"dataset.own_validation: `{config.name}` has no validation part of its own: set it to false, and "
                "dataset.validation_fraction is held out"
            )
        self.options: Any = schema.parse(
            self.Options, config.options, source=f"the data set {config.name}", place=("dataset", "options")
        )

    def check(self) -> None:
        """Looks whether the data is there, before anything starts; the images themselves are not read.

        Raises:
            UserError: one line that names `dataset.root` (or another key), what is there, and the remedy.
        """
        sizes = self.sizes()
        if sizes is None:
            return
        for part, wanted, there in (
            ("train", self.config.train_examples, sizes.train),
            ("test", self.config.test_examples, sizes.test),
        ):
            if wanted is not None and wanted > there:
                raise UserError(
                    f"dataset.{part}_examples: {self.config.name} has {there} such images, but got {wanted}: "
                    "lower it"
                )

    def prepare(self) -> None:
        """Fetches what is absent and may be fetched, before trials start: each of them would wait for it otherwise.

        Raises:
            UserError: it cannot be fetched.
        """
        if self.downloads and self.config.download and not self.is_there():
            self.fetch()

    def is_there(self) -> bool:
        """Whether nothing need be fetched; a data set that says no knows how to `fetch`."""
        return True

    def fetch(self) -> None:
        """Downloads what is not there yet: called where `dataset.download` asks for it.

        Raises:
            UserError: it cannot be fetched.
        """
        raise NotImplementedError(f"{type(self).__name__} says that it is to be fetched, and must say how")

    def sizes(self) -> Sizes | None:
        """How many images there are; None where that is not known before they are read, or they are not there."""
        return None

    def fingerprint(self, part: Part) -> Fingerprint:
        """Changes when the part's files do; what was read is kept until then. Without files there is none."""
        return ()

    def identity(self) -> str:
        """The same on each machine that has the same data, wherever: by the number of images, and the names and sizes
        of the files that `fingerprint` knows of.

        Raises:
            UserError: the data is not there.
        """
        parts: tuple[Part, ...] = (
            ("train", "validation", "test") if self.config.own_validation else ("train", "test")
        )
        files = [(Path(path).name, size) for part in parts for path, _, size in self.fingerprint(part)]
        return hashlib.sha256(repr((self.config.name, self.sizes(), files)).encode()).hexdigest()[:16]

    @abstractmethod
    def load(self, *, hold_out: bool, device: torch.device, threads: int | None = None) -> Splits:
        """Splits the (subset of the) training set; with `hold_out=False` all of it is trained on.

        The normalization is that of the images trained on. The test set is read when `load_test` is called.

        Raises:
            UserError: the data is not there, or too small to be split.
        """

    def root(self) -> Path:
        """The folder of the data.

        Raises:
            UserError: it is not given, or is no folder.
        """
        if self.config.root is None:
            raise UserError(
                f"dataset.root: `{self.config.name}` needs the data's folder, but got null: give its path"
            )
        root = Path(self.config.root).expanduser()
        if self.downloads and self.config.download:
            return root
        if not root.is_dir():
            what = "is a file" if root.exists() else "does not exist"
            raise UserError(f"dataset.root: must be a folder, but `{root}` {what}: mend the path")
        return root


def fingerprint_of(paths: Iterable[Path]) -> Fingerprint:
    """Changes when one of the files does."""
    stats = [(path, path.stat()) for path in paths]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)
