"""Images in a folder for each class: which folders are a part, and which files are images."""

from __future__ import annotations

from pathlib import Path

from ubn_sweep.errors import UserError

TEST_FOLDERS = ("test", "val")
"""ImageNet's `val` is the set that results are told on; beside a `test` it is not used."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def train_folder(root: Path) -> Path:
    """The folder with a subfolder of training images for each class.

    Raises:
        UserError: there is none.
    """
    folder = root / "train"
    if not folder.is_dir():
        raise UserError(f"dataset.root: must hold a folder `train`, but `{root}` has none: give its parent")
    return folder


def test_folder(root: Path, *, own_validation: bool) -> Path:
    """The folder with the test images: `test`, else `val`, unless that is the validation set.

    Raises:
        UserError: there is neither.
    """
    for name in TEST_FOLDERS[:1] if own_validation else TEST_FOLDERS:
        if (root / name).is_dir():
            return root / name
    if own_validation:
        raise UserError(
            f"dataset.root: must hold a folder `test` beside `val`, but `{root}` has none: add it, or set "
            "dataset.own_validation to false"
        )
    raise UserError(f"dataset.root: must hold a folder `test` or `val`, but `{root}` has neither: add one")


def validation_folder(root: Path) -> Path:
    """The folder with validation images of the data set's own.

    Raises:
        UserError: there is none.
    """
    folder = root / "val"
    if not folder.is_dir():
        raise UserError(
            f"dataset.own_validation: `{root}` must hold a folder `val`, but has none: add it, or set it to false"
        )
    return folder


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


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)
