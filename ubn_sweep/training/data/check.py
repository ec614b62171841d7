"""Is the data there? Asked before anything starts; the images themselves are not read. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.training.config import DatasetConfig
from ubn_sweep.training.data import files


def check_dataset(dataset: DatasetConfig) -> None:
    """Checks that the dataset's folders and files exist and look like what they should hold.

    Raises:
        UserError: one line that names `dataset.root` (or another key), what is there, and the remedy.
    """
    if dataset.name in files.KNOWN_SIZES:
        _check_counts(dataset, *files.KNOWN_SIZES[dataset.name])
    if dataset.name == "digits":
        return
    root = files.root_of(dataset)
    if dataset.name in files.CIFAR_FILES:
        _check_cifar(dataset, root)
    elif dataset.name == "imagefolder":
        _check_image_folder(root)
    else:
        _check_parquet(dataset, root)


def _check_cifar(dataset: DatasetConfig, root: Path) -> None:
    absent = [path for path in files.cifar_files(dataset.name, root) if not path.is_file()]
    if absent and not dataset.download:
        raise UserError(
            f"dataset.root: `{root}` must hold {absent[0].relative_to(root)}, but does not: "
            "give the folder above the archive's, or set dataset.download to true"
        )


def _check_image_folder(root: Path) -> None:
    train, test = files.train_folder(root), files.test_folder(root)
    classes = files.class_names(train)
    unknown = sorted(set(files.class_names(test)) - set(classes))
    if unknown:
        raise UserError(
            f"dataset.root: classes of `{test}` must be among those of `{train}`, but `{unknown[0]}` is not: "
            "rename or remove it"
        )
    for folder in (train, test):
        for name in files.class_names(folder):
            if not any(path.suffix.lower() in files.IMAGE_SUFFIXES for path in (folder / name).rglob("*")):
                raise UserError(f"dataset.root: `{folder / name}` has no images: fill or remove it")


def _check_parquet(dataset: DatasetConfig, root: Path) -> None:
    from ubn_sweep.training.data.parquet_layout import count_rows, layout_of

    train, test = files.parquet_part(root, "train"), files.parquet_part(root, "test")
    for shard in (*train, *test):
        layout_of(shard)
    _check_counts(dataset, count_rows(train), count_rows(test))


def _check_counts(dataset: DatasetConfig, train: int, test: int) -> None:
    for part, wanted, there in (
        ("train", dataset.train_examples, train),
        ("test", dataset.test_examples, test),
    ):
        if wanted is not None and wanted > there:
            raise UserError(
                f"dataset.{part}_examples: {dataset.name} has {there} such images, but got {wanted}: lower it"
            )
