"""What an encoded image's pixels become: grey among colours, 16 bits, floats; and labels that are secret."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tests.training.builders import encode, pictures, write_image_folder, write_parquet
from tests.training.test_datasets import load
from ubn_sweep.errors import UserError
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.decoding import open_image
from ubn_sweep.training.data.registry import find_dataset


def grey_of(picture):
    return np.asarray(Image.fromarray(picture).convert("L"))


def parquet_with_grey(root, grey):
    """`grey`: positions of training images that are grey; the test images are in colours."""
    images, labels = pictures(12, 8)
    write_parquet(
        root / "train-0.parquet",
        [grey_of(image) if i in grey else image for i, image in enumerate(images)],
        labels,
    )
    write_parquet(root / "test-0.parquet", images, labels)
    return images


@pytest.mark.parametrize("grey", [{0}, {7}, set(range(1, 12))])
def test_grey_images_among_colours_keep_the_colours_of_the_others(tmp_path, grey):
    images = parquet_with_grey(tmp_path, grey)
    pixels = find_dataset(DatasetConfig(name="parquet", root=str(tmp_path))).decoded("train").pixels
    assert pixels.shape == (12, 3, 8, 8)
    for i, image in enumerate(images):
        expected = np.stack([grey_of(image)] * 3, 2) if i in grey else image
        assert np.array_equal(pixels[i].permute(1, 2, 0), expected)


def test_test_images_take_the_channels_of_the_training_images(tmp_path):
    images = parquet_with_grey(tmp_path, set(range(12)))
    keys = {"name": "parquet", "root": str(tmp_path), "validation_fraction": 0.5}
    grey = load(**keys)
    assert grey.in_channels == 1
    test = grey.load_test().pixels.cpu()
    assert np.array_equal(test[:, 0], np.stack([grey_of(image) for image in images]))
    (tmp_path / "train-0.parquet").rename(tmp_path / "other")
    (tmp_path / "test-0.parquet").rename(tmp_path / "train-0.parquet")
    (tmp_path / "other").rename(tmp_path / "test-0.parquet")
    colours = load(**keys)
    assert colours.in_channels == 3
    assert np.array_equal(colours.load_test().pixels[:, 2].cpu(), test[:, 0])


@pytest.mark.parametrize("in_colours", [[], [0], [11]])
def test_a_folder_is_grey_where_no_image_has_colours(tmp_path, in_colours):
    write_image_folder(tmp_path, per_class=4, size=(8, 8))
    for i, path in enumerate(sorted((tmp_path / "train").rglob("*.png"))):
        if i not in in_colours:
            Image.open(path).convert("L").save(path)
    splits = load(name="imagefolder", root=str(tmp_path), image_size_px=8)
    assert splits.in_channels == next(splits.load_test().in_order(2))[0].shape[1] == (3 if in_colours else 1)


RAMP = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)


def opened(array, kind, grey):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return np.asarray(open_image(file, grey=grey))


@pytest.mark.parametrize("grey", [True, False, None])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled(kind, grey):
    pixels = opened(RAMP, kind, grey)
    expected = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(pixels if grey is not False else pixels[:, :, 1], expected)


@pytest.mark.parametrize(
    ("array", "what"), [(RAMP.astype(np.int32), "32-bit integers"), (RAMP.astype(np.float32), "floats")]
)
def test_pixels_of_unknown_range_are_refused(tmp_path, array, what):
    with pytest.raises(ValueError, match=f"its pixels are {what}, whose range is not known: save it"):
        opened(array, "TIFF", None)
    write_image_folder(tmp_path, per_class=2, size=(8, 8))
    Image.fromarray(array).save(tmp_path / "train" / "low" / "0.tif")
    dataset = find_dataset(DatasetConfig(name="imagefolder", root=str(tmp_path), image_size_px=8))
    message = rf"^dataset.root: .*0.tif` cannot be decoded \(its pixels are {what}"
    with pytest.raises(UserError, match=message):  # it is among those that the normalization is of
        dataset.load(hold_out=False, device=torch.device("cpu"), threads=1)


@pytest.mark.parametrize(("label", "what"), [(-1, "2 are unlabelled"), (None, "2 have none")])
def test_unlabelled_test_files_are_told_before_anything_starts(tmp_path, label, what):
    images, labels = pictures(6, 8)
    for part in ("train", "test", "validation"):
        write_parquet(tmp_path / f"{part}-0.parquet", images, labels)
    dataset = find_dataset(DatasetConfig(name="parquet", root=str(tmp_path)))
    dataset.check()
    table = pq.read_table(tmp_path / "test-0.parquet")
    secret = pa.array([label, label, *labels[2:].tolist()], pa.int64())
    pq.write_table(table.set_column(1, "label", secret), tmp_path / "test-0.parquet")
    with pytest.raises(
        UserError, match=rf"^dataset.root: `.*test-0.parquet` must have a label .* but {what}"
    ):
        dataset.check()
    (tmp_path / "test-0.parquet").unlink()
    dataset.check()
    assert len(load(name="parquet", root=str(tmp_path), validation_fraction=0.5).load_test()) == 6


def test_images_are_decoded_as_before():
    """8 bits: bit for bit what Pillow gives."""
    picture = pictures(1, 8)[0][0]
    for grey, mode in ((None, "RGB"), (False, "RGB"), (True, "L")):
        assert np.array_equal(
            np.asarray(open_image(io.BytesIO(encode(picture)), grey=grey)),
            Image.fromarray(picture).convert(mode),
        )
