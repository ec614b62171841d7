"""How many images there are, before any is read: against what is read then."""

import shutil

import pytest
import torch

from tests.training.builders import DEVICE, write_mnist
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.dataset import Sizes
from ubn_sweep.training.data.names import BUILT_IN
from ubn_sweep.training.data.registry import find_dataset
from ubn_sweep.training.data.splits import split_sizes


def expected_and_loaded(config):
    found = find_dataset(config)
    splits = found.load(hold_out=True, device=torch.device(DEVICE), threads=1)
    return split_sizes(found.sizes(), config), (len(splits.train), len(splits.validation))


def test_digits_are_counted_right():
    found = find_dataset(DatasetConfig())
    train, test = found.decoded("train"), found.decoded("test")
    assert found.sizes() == Sizes(
        train=len(train.labels),
        test=len(test.labels),
        train_per_class=tuple(train.labels.bincount().tolist()),
    )
    assert found.sizes().train == 1438


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.25, 0.5])
@pytest.mark.parametrize("examples", [None, 20, 200, 1437])
def test_splits_of_known_classes_are_foretold_exactly(fraction, examples):
    told, there = expected_and_loaded(DatasetConfig(validation_fraction=fraction, train_examples=examples))
    assert told.exact
    assert (told.train, told.validation) == there


def test_splits_of_parquet_are_foretold_nearly(parquet_root):
    for examples in (None, 40):
        config = DatasetConfig(name="parquet", root=str(parquet_root), train_examples=examples)
        told, (train, validation) = expected_and_loaded(config)
        assert not told.exact
        assert told.train + told.validation == train + validation
        assert abs(told.validation - validation) <= 3  # a rounding for each class


def test_nothing_is_foretold_where_nothing_is_known(tmp_path, image_folder_root):
    for name, root in (("parquet", tmp_path), ("parquet", None), ("imagefolder", image_folder_root)):
        config = DatasetConfig(name=name, root=None if root is None else str(root), image_size_px=8)
        assert split_sizes(find_dataset(config).sizes(), config) is None
    subset = DatasetConfig(name="imagefolder", root="/absent", image_size_px=8, train_examples=20)
    assert split_sizes(find_dataset(subset).sizes(), subset).validation == 4


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_classes_add_up(name):
    sizes = find_dataset(DatasetConfig(name=name)).sizes()
    assert sizes is None or sum(sizes.train_per_class) == sizes.train


def test_too_many_are_told_before_anything_is_read(tmp_path):
    write_mnist(tmp_path / "MNIST" / "raw")
    with pytest.raises(
        ValueError, match=r"^dataset\.test_examples: mnist has 10000 such images, but got 10001"
    ):
        find_dataset(DatasetConfig(name="mnist", root=str(tmp_path), test_examples=10001)).check()


def test_a_folder_of_images_is_another_data_set_with_one_more_or_another_class(image_folder_root, tmp_path):
    def identity(root):
        return find_dataset(DatasetConfig(name="imagefolder", root=str(root), image_size_px=8)).identity()

    copies = [shutil.copytree(image_folder_root, tmp_path / name) for name in ("same", "more", "renamed")]
    image = next((copies[1] / "train").glob("*/*"))
    shutil.copy(image, image.with_stem(f"{image.stem}-again"))
    for part in ("train", "val"):
        folder = next(iter(sorted((copies[2] / part).iterdir())))
        folder.rename(folder.with_name(f"{folder.name}-other"))
    same, more, renamed = (identity(copy) for copy in copies)
    assert same == identity(image_folder_root)
    assert len({same, more, renamed}) == 3
