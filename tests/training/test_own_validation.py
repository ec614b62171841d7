"""A validation set of the data set's own, in place of a share of the training set."""

import shutil

import numpy as np
import pytest
import torch

from tests.support.own_images import MyImages
from tests.training.builders import (
    paths_of,
    pictures,
    tiny_config,
    write_image_folder,
    write_own_images,
    write_parquet,
)
from tests.training.test_datasets import load
from ubn_sweep.errors import UserError
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.classification.task import ImageClassification
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.registry import find_dataset

COUNTS = {"train": 12, "validation": 9, "test": 6}


class WithValidation(MyImages):
    """The images of the documentation, with a third file."""

    has_validation = True


@pytest.fixture
def root(tmp_path):
    for seed, (part, count) in enumerate(COUNTS.items()):
        write_parquet(tmp_path / f"{part}-0.parquet", *pictures(count, 8, seed=seed))
    return tmp_path


def keys_for(root, name="parquet", **more):
    return {"name": name, "root": str(root), "own_validation": True, **more}


def test_parquet(root):
    find_dataset(DatasetConfig(**keys_for(root))).check()
    splits = load(**keys_for(root))
    assert [len(images) for images in (splits.train, splits.validation, splits.load_test())] == [12, 9, 6]
    expected = torch.from_numpy(pictures(9, 8, seed=1)[0]).permute(0, 3, 1, 2)
    assert torch.equal(splits.validation.pixels.cpu(), expected)
    subset = load(**keys_for(root, train_examples=6))
    assert (len(subset.train), len(subset.validation)) == (6, 9)
    held_out = load(name="parquet", root=str(root), validation_fraction=0.25)
    assert [len(images) for images in (held_out.train, held_out.validation, held_out.load_test())] == [
        9,
        3,
        6,
    ]


def test_what_is_held_out_is_foretold_and_trained_on_in_the_end(root):
    config = tiny_config(dataset=keys_for(root))
    assert ImageClassification().examples(config) == 9
    run = TrainingRun(config)
    assert run.train_epoch()["val_examples"] == 9
    final = TrainingRun(config, hold_out=False)
    assert (final.train_examples, final.validation_examples) == (21, 0)
    assert "val_loss" not in final.train_epoch()


def test_image_folder(tmp_path):
    write_image_folder(tmp_path, per_class=4, size=(8, 8))
    keys = keys_for(tmp_path, "imagefolder", image_size_px=8)
    with pytest.raises(UserError, match=r"^dataset.root: must hold a folder `test` beside `val`"):
        find_dataset(DatasetConfig(**keys)).check()
    (tmp_path / "val").rename(tmp_path / "test")
    with pytest.raises(UserError, match=r"^dataset.own_validation: .* must hold a folder `val`"):
        find_dataset(DatasetConfig(**keys)).check()
    shutil.copytree(tmp_path / "test" / "low", tmp_path / "val" / "low")
    shutil.copytree(tmp_path / "test" / "high", tmp_path / "val" / "high")
    find_dataset(DatasetConfig(**keys)).check()
    splits = load(**keys)
    parts = {"train": splits.train, "val": splits.validation, "test": splits.load_test()}
    for part, images in parts.items():
        assert {path.parts[-3] for path in paths_of(images)} == {part}
    assert [len(images) for images in parts.values()] == [12, 8, 12]
    assert splits.validation.labels.unique().tolist() == [0, 1]  # in order of their names: high, low, middle
    assert len(load(**keys, hold_out=False).train) == 20


def test_a_class_of_ones_own(tmp_path):
    write_own_images(tmp_path)
    test = np.load(tmp_path / "test.npz")
    np.savez(tmp_path / "validation.npz", pixels=test["pixels"][:9], labels=test["labels"][:9])
    keys = keys_for(tmp_path, f"{__name__}:WithValidation", options={"classes": 3})
    splits = load(**keys)
    assert (len(splits.train), len(splits.validation), len(splits.load_test())) == (48, 9, 24)
    np.savez(tmp_path / "validation.npz", pixels=test["pixels"][:9, :, :6], labels=test["labels"][:9])
    with pytest.raises(UserError, match=r"^dataset.image_size_px: .* but have 8x6, not 8x8"):
        load(**keys)


def test_a_data_set_without_one_says_so(tmp_path):
    with pytest.raises(
        UserError, match=r"^dataset.own_validation: `digits` has no validation part of its own"
    ):
        find_dataset(DatasetConfig(own_validation=True))
    write_parquet(tmp_path / "train-0.parquet", *pictures(6, 8))
    write_parquet(tmp_path / "test-0.parquet", *pictures(6, 8))
    with pytest.raises(UserError, match=r"must hold the validation images as validation-\*.parquet"):
        find_dataset(DatasetConfig(**keys_for(tmp_path))).check()
