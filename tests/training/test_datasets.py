"""Each dataset is read as it lies on disk: counts, splits, pixels, and one line for what is wrong."""

import multiprocessing

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torchvision import datasets as torchvision_datasets

from tests.training.builders import (
    DEVICE,
    SHARED_DATA,
    encode,
    paths_of,
    pictures,
    tiny_config,
    write_cifar10,
    write_image_folder,
    write_parquet,
)
from ubn_sweep.errors import UserError
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.registry import find_dataset
from ubn_sweep.training.memory import release_memory


def load(threads=1, hold_out=True, **keys):
    dataset = find_dataset(DatasetConfig(**keys))
    return dataset.load(hold_out=hold_out, device=torch.device(DEVICE), threads=threads)


def check_dataset(config):
    find_dataset(config).check()


def all_of(images):
    pixels, labels = zip(*images.in_order(16), strict=True)
    return torch.cat(pixels).cpu(), torch.cat(labels).cpu()


def epoch_of(images, *, seed=0, epoch=1, batch_size=8):
    pixels, labels = zip(*images.shuffled(batch_size, seed=seed, epoch=epoch), strict=True)
    return torch.cat(pixels).cpu(), torch.cat(labels).cpu()


@pytest.fixture
def cifar10_root(tmp_path, monkeypatch):
    """100 training and 20 test images in the archive's layout, with torchvision's table of sums made to match."""
    sums = write_cifar10(tmp_path)
    cifar = torchvision_datasets.CIFAR10
    for table in ("train_list", "test_list"):
        monkeypatch.setattr(cifar, table, [[name, sums[name]] for name, _ in getattr(cifar, table)])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": sums["batches.meta"]})
    return tmp_path


def test_digits():
    check_dataset(DatasetConfig())
    dataset = load()
    assert (dataset.num_classes, dataset.in_channels, dataset.image_size_px) == (10, 1, 8)
    assert len(dataset.train) + len(dataset.validation) == 1438
    assert len(dataset.load_test()) == 359
    shares = dataset.validation.labels.bincount() / len(dataset.validation)
    assert (shares - 0.1).abs().max() < 0.01


def test_training_images_are_normalised_by_themselves():
    dataset = load()
    pixels, _ = all_of(dataset.train)
    assert pixels.mean().item() == pytest.approx(0, abs=1e-5)
    assert pixels.std().item() == pytest.approx(1, abs=1e-3)
    # Validation images are seen through the training images' numbers, not through their own.
    assert abs(all_of(dataset.validation)[0].mean().item()) > 1e-5


def test_digits_can_be_resized():
    dataset = load(image_size_px=16)
    assert dataset.image_size_px == 16
    assert next(dataset.train.in_order(4))[0].shape == (4, 1, 16, 16)


def test_cifar10_through_torchvision(cifar10_root):
    keys = {"name": "cifar10", "root": str(cifar10_root)}
    check_dataset(DatasetConfig(**keys))
    dataset = load(**keys)
    assert (dataset.num_classes, dataset.in_channels, dataset.image_size_px) == (10, 3, 32)
    assert (len(dataset.train), len(dataset.validation), len(dataset.load_test())) == (80, 20, 20)
    expected, labels = pictures(20, 32, seed=5, classes=10)
    test = dataset.load_test()
    assert torch.equal(test.pixels.cpu(), torch.from_numpy(expected).permute(0, 3, 1, 2))
    assert test.labels.tolist() == labels.tolist()
    metrics = TrainingRun(tiny_config(dataset=keys)).train_epoch()
    assert 0 <= metrics["val_top5"] <= 1


def test_a_damaged_archive_is_one_line(cifar10_root):
    (cifar10_root / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"^dataset\.root: .*cifar-10-batches-py.*absent or damaged"):
        load(name="cifar10", root=str(cifar10_root))


def test_parquet(parquet_root):
    keys = {"name": "parquet", "root": str(parquet_root)}
    check_dataset(DatasetConfig(**keys))
    dataset = load(**keys, validation_fraction=0.25)
    assert (dataset.num_classes, dataset.in_channels, dataset.image_size_px) == (3, 3, 12)
    assert (len(dataset.train), len(dataset.validation)) == (54, 18)
    assert dataset.validation.labels.bincount().tolist() == [6, 6, 6]
    expected, labels = pictures(30, 12, seed=9)
    test = dataset.load_test()
    assert torch.equal(test.pixels.cpu(), torch.from_numpy(expected).permute(0, 3, 1, 2))
    assert test.labels.tolist() == labels.tolist()


def test_a_subset_of_parquet_is_balanced_and_its_images_keep_their_labels(parquet_root):
    dataset = load(name="parquet", root=str(parquet_root), train_examples=12, validation_fraction=0.5)
    whole = find_dataset(DatasetConfig(name="parquet", root=str(parquet_root))).decoded("train")
    label_of = {
        image.cpu().numpy().tobytes(): label
        for image, label in zip(whole.pixels, whole.labels.tolist(), strict=True)
    }
    for part in (dataset.train, dataset.validation):
        assert part.labels.bincount().tolist() == [2, 2, 2]
        for image, label in zip(part.pixels, part.labels.tolist(), strict=True):
            assert label_of[image.cpu().numpy().tobytes()] == label


def test_parquet_column_names_are_found_by_type(tmp_path):
    images, labels = pictures(6, 12)
    write_parquet(tmp_path / "train.parquet", images, labels, column="photo", names=None)
    write_parquet(tmp_path / "validation-0.parquet", images, labels, column="photo", names=None)
    check_dataset(DatasetConfig(name="parquet", root=str(tmp_path)))
    dataset = load(name="parquet", root=str(tmp_path), validation_fraction=0.5)
    assert dataset.num_classes == 3
    assert len(dataset.load_test()) == 6


def test_grey_and_jpeg_parquet_of_several_sizes(tmp_path):
    pictures_of_sizes = [np.full((size, 20, 3), 100, np.uint8) for size in (16, 20, 30, 20)]
    grey = [Image.fromarray(picture).convert("L") for picture in pictures_of_sizes]
    for part in ("train", "test"):
        write_parquet(tmp_path / f"{part}-0.parquet", list(map(np.asarray, grey)), np.array([0, 1, 0, 1]))
    keys = {"name": "parquet", "root": str(tmp_path), "validation_fraction": 0.5}
    with pytest.raises(UserError, match=r"^dataset\.image_size_px: .*20x16, 20x20, 20x30"):
        load(**keys)
    dataset = load(**keys, image_size_px=10)
    assert (dataset.in_channels, dataset.image_size_px) == (1, 10)
    assert (dataset.train.pixels == 100).all()


def test_decoded_images_are_kept_until_the_files_change(tmp_path):
    images, labels = pictures(6, 12)
    for part in ("train", "test"):
        write_parquet(tmp_path / f"{part}-0.parquet", images, labels)
    config = DatasetConfig(name="parquet", root=str(tmp_path))
    first = find_dataset(config).decoded("train")
    assert find_dataset(config).decoded("train") is first
    write_parquet(tmp_path / "train-0.parquet", images[:3], labels[:3])
    assert len(find_dataset(config).decoded("train").labels) == 3


def test_image_folder(image_folder_root):
    keys = {"name": "imagefolder", "root": str(image_folder_root), "image_size_px": 16}
    check_dataset(DatasetConfig(**keys))
    dataset = load(**keys, validation_fraction=0.25)
    assert (dataset.num_classes, dataset.in_channels, dataset.image_size_px) == (3, 3, 16)
    assert (len(dataset.train), len(dataset.validation), len(dataset.load_test())) == (18, 6, 24)
    assert not set(paths_of(dataset.train)) & set(paths_of(dataset.validation))
    assert {path.parts[-3] for path in paths_of(dataset.load_test())} == {"val"}
    pixels, labels = all_of(dataset.validation)
    assert pixels.shape == (6, 3, 16, 16)
    assert labels.bincount().tolist() == [2, 2, 2]


def test_a_folder_called_test_comes_before_val(tmp_path):
    write_image_folder(tmp_path, per_class=2, size=(8, 8))
    (tmp_path / "val").rename(tmp_path / "test")
    write_image_folder(tmp_path, per_class=2, size=(8, 8))
    dataset = load(name="imagefolder", root=str(tmp_path), image_size_px=8, validation_fraction=0.5)
    assert {path.parts[-3] for path in paths_of(dataset.load_test())} == {"test"}


@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "resized_crop_flip"])
def test_loader_processes_change_nothing_and_are_gone_afterwards(image_folder_root, augmentation):
    keys = {
        "name": "imagefolder",
        "root": str(image_folder_root),
        "image_size_px": 16,
        "augmentation": augmentation,
    }
    alone, helped = (load(threads=threads, **keys).train for threads in (1, 2))
    for one, other in zip(epoch_of(alone), epoch_of(helped), strict=True):
        assert torch.equal(one, other)
    batches = helped.shuffled(4, seed=0, epoch=2)
    next(batches)
    assert multiprocessing.active_children()
    del batches, helped  # as when a trial diverges in mid-epoch, and its run is dropped
    release_memory()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "resized_crop_flip"])
@pytest.mark.parametrize("name", ["parquet", "imagefolder"])
def test_epochs_are_shuffled_and_augmented_by_seed_and_epoch(
    name, augmentation, parquet_root, image_folder_root
):
    root = {"parquet": parquet_root, "imagefolder": image_folder_root}[name]
    images = load(name=name, root=str(root), image_size_px=12, augmentation=augmentation).train
    first, labels = epoch_of(images)
    assert torch.equal(first, epoch_of(images)[0])
    for other in (epoch_of(images, epoch=2), epoch_of(images, seed=1)):
        assert not torch.equal(first, other[0])
    # An epoch shows each image at most once, and what has no augmentation shows them unchanged.
    if augmentation == "none":
        shown = {image.cpu().numpy().tobytes() for image in first}
        assert len(shown) == len(labels)
        assert shown <= {image.cpu().numpy().tobytes() for image in all_of(images)[0]}


def test_an_unreadable_image_is_one_line_also_from_a_loader_process(tmp_path):
    write_image_folder(tmp_path, per_class=4, size=(8, 8))
    images = load(name="imagefolder", root=str(tmp_path), image_size_px=8).train
    helped = load(threads=2, name="imagefolder", root=str(tmp_path), image_size_px=8).train
    broken = paths_of(images)[5]
    broken.write_bytes(b"no image")
    for part in (images, helped):
        with pytest.raises(UserError) as caught:
            epoch_of(part)
        assert str(caught.value).startswith(f"dataset.root: `{broken}` cannot be decoded")
        assert "\n" not in str(caught.value)


def _no_images(root):
    pq.write_table(pa.table({"label": [1]}), root / "train-0.parquet")


def _no_labels(root):
    pq.write_table(pa.table({"image": [{"bytes": b"", "path": ""}]}), root / "train-0.parquet")


def _no_test(root):
    write_parquet(root / "train-0.parquet", *pictures(3, 8))


def _no_parquet(root):
    for part in ("train", "test"):
        (root / f"{part}-0.parquet").write_bytes(b"something else")


@pytest.mark.parametrize(
    ("keys", "prepare", "message"),
    [
        ({"name": "parquet", "root": None}, None, "dataset.root: `parquet` needs the data's folder"),
        ({"name": "cifar10"}, None, "must hold cifar-10-batches-py/data_batch_1"),
        ({"name": "cifar100"}, None, "must hold cifar-100-python/train"),
        ({"name": "cifar10", "train_examples": 60000}, None, "dataset.train_examples: cifar10 has 50000"),
        ({"name": "imagefolder"}, None, "dataset.image_size_px: `imagefolder` needs it, but got null"),
        ({"name": "imagefolder", "image_size_px": 8}, None, "must hold a folder `train`"),
        ({"name": "parquet"}, None, "must hold the training images as train-*.parquet"),
        ({"name": "parquet"}, _no_test, "must hold the test images as test-*.parquet"),
        ({"name": "parquet"}, _no_images, "must have a column of images"),
        ({"name": "parquet"}, _no_labels, "must have an integer column `label`"),
        ({"name": "parquet"}, _no_parquet, "cannot be read as Parquet"),
    ],
)
def test_what_is_missing_is_told_before_anything_starts(tmp_path, keys, prepare, message):
    if prepare is not None:
        prepare(tmp_path)
        if prepare in (_no_images, _no_labels):
            (tmp_path / "test-0.parquet").write_bytes((tmp_path / "train-0.parquet").read_bytes())
    with pytest.raises(UserError) as caught:
        check_dataset(DatasetConfig(**{"root": str(tmp_path), **keys}))
    assert message in str(caught.value)
    assert str(caught.value).startswith("dataset.")
    assert "\n" not in str(caught.value)


def test_image_folder_checks(tmp_path):
    write_image_folder(tmp_path, per_class=1, size=(8, 8))
    config = DatasetConfig(name="imagefolder", root=str(tmp_path), image_size_px=8)
    check_dataset(config)
    (tmp_path / "val" / "unheard of").mkdir()
    with pytest.raises(UserError, match="`unheard of` is not"):
        check_dataset(config)
    (tmp_path / "val" / "unheard of").rmdir()
    for picture in (tmp_path / "train" / "low").iterdir():
        picture.unlink()
    with pytest.raises(UserError, match="low` has no images"):
        check_dataset(config)


@pytest.mark.parametrize(
    ("labels", "image", "message"),
    [
        ([0, 1, 3], encode(np.zeros((8, 8, 3), np.uint8)), "labels in .* must lie from 0 to 2, but one is 3"),
        (
            [0, 1, -1],
            encode(np.zeros((8, 8, 3), np.uint8)),
            "labels in .* must lie from 0 to 2, but one is -1",
        ),
        ([0, 1, 2], b"no image", "image of row 2 in .* cannot be decoded"),
        ([0, 1, 2], None, "that of row 2 is only a path"),
    ],
)
def test_bad_rows_are_one_line(tmp_path, labels, image, message):
    write_parquet(tmp_path / "train-0.parquet", pictures(3, 8)[0], np.array(labels))
    table = pq.read_table(tmp_path / "train-0.parquet")
    rows = table["img"].to_pylist()
    rows[2]["bytes"] = image
    table = table.set_column(0, "img", pa.array(rows, table.schema.field("img").type))
    pq.write_table(table, tmp_path / "train-0.parquet")
    with pytest.raises(UserError, match=rf"^dataset\.root: .*{message}") as caught:
        load(name="parquet", root=str(tmp_path), validation_fraction=0.5)
    assert "\n" not in str(caught.value)


@pytest.mark.shared_data
@pytest.mark.skipif(not (SHARED_DATA / "cifar10").is_dir(), reason=f"no real CIFAR-10 in {SHARED_DATA}")
def test_real_cifar10_in_parquet():
    keys = {
        "name": "parquet",
        "root": str(SHARED_DATA / "cifar10"),
        "train_examples": 500,
        "test_examples": 100,
    }
    check_dataset(DatasetConfig(**keys))
    dataset = load(**keys)
    assert (dataset.num_classes, dataset.in_channels, dataset.image_size_px) == (10, 3, 32)
    assert dataset.train.labels.bincount().tolist() == [40] * 10
    assert dataset.load_test().labels.bincount().tolist() == [10] * 10
    config = tiny_config(dataset={**keys, "augmentation": "crop_flip"}, norm={"name": "ubn"})
    metrics = TrainingRun(config).train_epoch()
    assert 0 < metrics["val_top5"] <= 1
    assert 0 < metrics["similarity"] < 1
