"""Where the files of each dataset lie. Needs no torch, so that a service can look without it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ubn_sweep.errors import UserError
from ubn_sweep.training.config import DatasetConfig

CIFAR_FILES = {
    "cifar10": (
        "cifar-10-batches-py",
        [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"],
    ),
    "cifar100": ("cifar-100-python", ["train", "test", "meta"]),
}
TEST_PREFIXES = ("test", "validation", "valid", "val")
"""A published dataset without a test split calls the set that results are told on `validation`."""
TEST_FOLDERS = ("test", "val")
"""ImageNet's `val` is the set that results are told on; beside a `test` it is not used."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
KNOWN_SIZES = {"digits": (1438, 359), "cifar10": (50_000, 10_000), "cifar100": (50_000, 10_000)}
"""Training and test images."""
Fingerprint = tuple[tuple[str, int, int], ...]


def root_of(dataset: DatasetConfig) -> Path:
    """The folder of the data.

    Raises:
        UserError: it is not given, or is no folder.
    """
    if dataset.root is None:
        raise UserError(
            f"dataset.root: `{dataset.name}` needs the data's folder, but got null: give its path"
        )
    root = Path(dataset.root).expanduser()
    if dataset.download and dataset.name in CIFAR_FILES:
        return root
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UserError(f"dataset.root: must be a folder, but `{root}` {what}: mend the path")
    return root


def parquet_files(root: Path, prefixes: Iterable[str], *, what: str) -> list[Path]:
    """The shards of the first prefix that has any, in order.

    Raises:
        UserError: there is none.
    """
    patterns = []
    for prefix in prefixes:
        for pattern in (f"{prefix}-*.parquet", f"{prefix}.parquet"):
            files = sorted(root.glob(pattern))
            if files:
                return files
            patterns.append(pattern)
    raise UserError(
        f"dataset.root: must hold the {what} images as {patterns[0]}, but `{root}` has no such file: "
        "give the folder in which the Parquet files lie"
    )


def parquet_part(root: Path, part: Literal["train", "test"]) -> list[Path]:
    """The shards of the training or of the test set.

    Raises:
        UserError: there is none.
    """
    if part == "train":
        return parquet_files(root, ["train"], what="training")
    return parquet_files(root, TEST_PREFIXES, what="test")


def cifar_files(name: str, root: Path) -> list[Path]:
    """The files of the unpacked archive."""
    folder, names = CIFAR_FILES[name]
    return [root / folder / file for file in names]


def train_folder(root: Path) -> Path:
    """The folder with a subfolder of training images for each class.

    Raises:
        UserError: there is none.
    """
    folder = root / "train"
    if not folder.is_dir():
        raise UserError(f"dataset.root: must hold a folder `train`, but `{root}` has none: give its parent")
    return folder


def test_folder(root: Path) -> Path:
    """The folder with the test images: `test`, else `val`.

    Raises:
        UserError: there is neither.
    """
    for name in TEST_FOLDERS:
        if (root / name).is_dir():
            return root / name
    raise UserError(f"dataset.root: must hold a folder `test` or `val`, but `{root}` has neither: add one")


def class_names(folder: Path) -> list[str]:
    """The subfolders' names, in order: each is a class.

    Raises:
        UserError: there are fewer than two.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(names) < 2:
        raise UserError(
            f"dataset.root: `{folder}` must hold a subfolder of images for each of at least two classes, "
            f"but has {len(names)}: sort the images into folders"
        )
    return names


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    """Changes when one of the files does."""
    stats = [(path, path.stat()) for path in paths]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)
