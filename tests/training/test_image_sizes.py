"""Images that are not square, and that have other channels than one or three."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.training.builders import pictures, tiny_config, write_image_folder, write_parquet
from tests.training.going_on import goes_on_bit_for_bit
from tests.training.test_datasets import load
from ubn_sweep.training.classification.task import ImageClassification
from ubn_sweep.training.data.augmentation import crop_flip, prepare_augmentation, resized_crop_flip
from ubn_sweep.training.data.decoding import to_size
from ubn_sweep.training.data.transforms import evaluation_transform

OWN = "tests.support.own_images:MyImages"
CPU = torch.device("cpu")


@pytest.fixture
def wide_root(tmp_path):
    """48 training and 24 test images of 6x10 with five channels, as numpy arrays."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 48), ("test", 24)):
        labels = np.arange(count) % 3
        noise = generator.integers(0, 80, size=(count, 5, 6, 10))
        pixels = (noise + 60 * labels[:, None, None, None]).astype(np.uint8)
        np.savez(tmp_path / f"{part}.npz", pixels=pixels, labels=labels)
    return tmp_path


@pytest.mark.parametrize(
    "augmentation",
    ["none", *(pytest.param(name, marks=pytest.mark.slow) for name in ("crop_flip", "resized_crop_flip"))],
)
def test_a_run_on_wide_images_of_five_channels(wide_root, tmp_path, augmentation):
    dataset = {"name": OWN, "root": str(wide_root), "options": {"classes": 3}, "augmentation": augmentation}
    config = tiny_config(dataset=dataset, norm={"name": "ubn"})
    splits = load(**dataset)
    assert (splits.in_channels, splits.image_size_px) == (5, (6, 10))
    goes_on_bit_for_bit(config, tmp_path / "out")
    assert ImageClassification().load_model(config, tmp_path / "out")(torch.zeros(2, 5, 6, 10)).shape == (
        2,
        3,
    )
    assert load(**dataset, image_size_px=(12, 9)).image_size_px == (12, 9)
    assert load(**dataset, image_size_px=(7, 7)).image_size_px == 7


def test_a_size_is_a_number_or_two():
    assert tiny_config(dataset={"image_size_px": [12, 20]}).dataset.image_size_px == (12, 20)
    for wrong in (0, [0, 4]):
        with pytest.raises(ValueError, match=r"dataset: `image_size_px >= 1` must hold"):
            tiny_config(dataset={"image_size_px": wrong})
    for wrong in ([4], [1, 2, 3], "large", 2.5, True, [4, "x"]):
        with pytest.raises(
            ValueError, match=r"dataset.image_size_px: should be a number of pixels or \[height"
        ):
            tiny_config(dataset={"image_size_px": wrong})


def test_parquet_of_wide_images(tmp_path):
    images, labels = pictures(12, 16)
    for part in ("train", "test"):
        write_parquet(tmp_path / f"{part}-0.parquet", [image[:10] for image in images], labels)
    keys = {"name": "parquet", "root": str(tmp_path), "validation_fraction": 0.5}
    splits = load(**keys)
    assert splits.image_size_px == (10, 16)
    assert np.array_equal(splits.load_test().pixels[3].cpu().permute(1, 2, 0), images[3][:10])
    assert load(**keys, image_size_px=(5, 8)).train.pixels.shape[-2:] == (5, 8)


@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "resized_crop_flip"])
def test_a_folder_of_wide_images(tmp_path, augmentation):
    write_image_folder(tmp_path, per_class=4, size=(40, 32))
    keys = {"name": "imagefolder", "root": str(tmp_path), "augmentation": augmentation}
    splits = load(**keys, image_size_px=(12, 20))
    assert splits.image_size_px == (12, 20)
    for images in (splits.train.shuffled(4, seed=0, epoch=1), splits.load_test().in_order(4)):
        assert next(iter(images))[0].shape == (4, 3, 12, 20)


@pytest.mark.parametrize(("picture", "covered"), [((8, 40), (8, 16)), ((40, 8), (4, 8)), ((9, 18), (9, 18))])
def test_the_centre_of_what_just_covers_the_size(picture, covered):
    """A picture's middle, as large as the ratio of the size allows, is what is seen; both readers agree on it."""
    height, width = picture
    marked = np.zeros((height, width, 3), np.uint8)
    top, left = (height - covered[0]) // 2, (width - covered[1]) // 2
    marked[top : top + covered[0], left : left + covered[1]] = 200
    config = tiny_config(dataset={"image_size_px": [4, 8]}).dataset
    seen = evaluation_transform(config)(torch.from_numpy(marked).permute(2, 0, 1))
    assert seen.shape == (3, 4, 8)
    fitted = np.asarray(to_size(Image.fromarray(marked), (4, 8)))
    assert fitted.shape == (4, 8, 3)
    assert seen[:, 1:-1, 1:-1].min() > 190
    assert fitted[1:-1, 1:-1].min() > 190


def test_crop_flip_pads_each_side_in_proportion():
    x = torch.arange(1, 1 + 2 * 16 * 32, dtype=torch.int32).view(2, 1, 16, 32)
    offsets, flips = torch.tensor([[0, 4], [8, 3]]), torch.tensor([False, True])
    y = crop_flip(x, offsets, flips, (2, 4))
    for i in range(2):
        row, column = offsets[:, i].tolist()
        expected = F.pad(x[i], (4, 4, 2, 2))[:, row : row + 16, column : column + 32]
        assert torch.equal(y[i], expected.flip(-1) if flips[i] else expected)
    generator = torch.Generator().manual_seed(0)
    augment = prepare_augmentation("crop_flip", 400, (16, 32), generator=generator, device=CPU)
    shown = augment(torch.ones(400, 1, 16, 32, dtype=torch.uint8), torch.arange(400))
    empty_rows, empty_columns = ((shown.sum(axis) == 0).sum(-1).max() for axis in ((1, 3), (1, 2)))
    assert (int(empty_rows), int(empty_columns)) == (2, 4)


def test_a_whole_box_of_a_wide_image_is_the_image():
    x = torch.rand(2, 3, 4, 9) * 255
    box = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(2, 4)
    torch.testing.assert_close(resized_crop_flip(x, box, torch.tensor([False, False])), x, atol=1e-2, rtol=0)
