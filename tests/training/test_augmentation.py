"""Augmentation, against its definition image by image."""

import pytest
import torch
import torch.nn.functional as F

from ubn_sweep.training.data.augmentation import (
    crop_flip,
    draw_boxes,
    padding_px,
    prepare_augmentation,
    resized_crop_flip,
)

CPU = torch.device("cpu")


def images(count=6, size=8, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (count, channels, size, size), generator=generator, dtype=torch.uint8)


def test_padding_is_four_pixels_at_32_and_in_proportion():
    assert [padding_px(size) for size in (4, 8, 16, 32, 64, 224)] == [1, 1, 2, 4, 8, 28]


def test_crop_flip_is_padding_slicing_and_flipping():
    x = images()
    offsets = torch.tensor([[0, 1, 2, 3, 4, 2], [4, 3, 2, 1, 0, 2]])
    flips = torch.tensor([True, False, True, False, True, False])
    y = crop_flip(x, offsets, flips, padding=2)
    for i in range(6):
        row, column = offsets[:, i].tolist()
        expected = F.pad(x[i], (2,) * 4)[:, row : row + 8, column : column + 8]
        assert torch.equal(y[i], expected.flip(-1) if flips[i] else expected)
    assert y.dtype == torch.uint8


def test_all_offsets_and_both_orientations_occur():
    x = images(count=500, size=8)
    augment = prepare_augmentation(
        "crop_flip", 500, 8, generator=torch.Generator().manual_seed(1), device=CPU
    )
    y = augment(x, torch.arange(500))
    padded = F.pad(x, (1,) * 4)
    shown = {
        (row, column, flip)
        for i in range(500)
        for row in range(3)
        for column in range(3)
        for flip in (False, True)
        if torch.equal(y[i].flip(-1) if flip else y[i], padded[i, :, row : row + 8, column : column + 8])
    }
    assert len(shown) == 18


def test_draws_belong_to_images_not_to_batches():
    x = images(count=20)
    augment = prepare_augmentation("crop_flip", 20, 8, generator=torch.Generator().manual_seed(1), device=CPU)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    assert torch.equal(augment(x[order], order), augment(x, torch.arange(20))[order])


def test_a_box_of_the_whole_image_changes_nothing_but_the_orientation():
    x = images()
    whole = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(6, 4)
    flips = torch.tensor([True, False] * 3)
    expected = torch.where(flips[:, None, None, None], x.flip(-1), x).float()
    assert torch.allclose(resized_crop_flip(x, whole, flips), expected, atol=1e-2)


def test_a_box_of_a_quarter_shows_that_quarter():
    x = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    x[:, :, :4, 4:] = 200  # above, on the right
    box = torch.tensor([[0.5, 0.5, -0.5, 0.5]])
    y = resized_crop_flip(x, box, torch.tensor([False]))
    assert (y[:, :, 1:-1, 1:-1] > 199).all()


def test_boxes_lie_inside_and_have_the_areas_and_ratios_asked_for():
    boxes = draw_boxes(4000, torch.Generator().manual_seed(0))
    height, width, row, column = boxes.unbind(1)
    assert ((row.abs() + height <= 1 + 1e-6) & (column.abs() + width <= 1 + 1e-6)).all()
    area, ratio = height * width, width / height
    assert area.min() >= 0.08 * 0.99
    assert area.max() <= 1
    assert area.mean().item() == pytest.approx(0.54, abs=0.05)
    assert ratio.min() >= 3 / 4 - 1e-4
    assert ratio.max() <= 4 / 3 + 1e-4


def test_none_is_nothing():
    assert prepare_augmentation("none", 5, 8, generator=torch.Generator(), device=CPU) is None
