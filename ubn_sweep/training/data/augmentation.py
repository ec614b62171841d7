"""Augmentation of a whole batch at once, on the device, with numbers drawn on the CPU, once per epoch.

crop_flip: black padding of 4 px at 32 px, in proportion at other sizes (1 px at 8 px), a random crop of
the image's size, and a flip of every second image. resized_crop_flip: a random part of 8 to 100% of the
area with a ratio of 3/4 to 4/3 times the image's own, resized bilinearly to the image's size, and the flip.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ubn_sweep.training.data.image_size import ImageSize, sides_px

Augment = Callable[[Tensor, Tensor], Tensor]
"""(images (N, C, H, W) uint8, positions of their draws (N,)) -> images, of the same size."""
PADDING_SHARE = 4 / 32
AREA = (0.08, 1.0)
LOG_RATIO = (math.log(3 / 4), math.log(4 / 3))


def padding_px(image_size_px: int) -> int:
    """On each side, before a random crop."""
    return max(1, round(PADDING_SHARE * image_size_px))


def prepare_augmentation(
    name: str, examples: int, image_size_px: ImageSize, *, generator: torch.Generator, device: torch.device
) -> Augment | None:
    """Draws what an epoch over `examples` images needs; None where nothing is to be done."""
    if name == "none":
        return None
    flips = (torch.rand(examples, generator=generator) < 0.5).to(device)
    if name == "crop_flip":
        padding = paddings_px(image_size_px)
        offsets = _draw_offsets(examples, padding, generator).to(device)
        return lambda images, draws: crop_flip(images, offsets[:, draws], flips[draws], padding)
    boxes = draw_boxes(examples, generator).to(device)
    return lambda images, draws: resized_crop_flip(images, boxes[draws], flips[draws])


def paddings_px(size: ImageSize) -> tuple[int, int]:
    """Above and below, and on the left and right, before a random crop."""
    height, width = sides_px(size)
    return padding_px(height), padding_px(width)


def _draw_offsets(examples: int, padding: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Of rows and of columns, (2, examples)."""
    rows, columns = padding
    if rows == columns:
        return torch.randint(2 * rows + 1, (2, examples), generator=generator)
    return torch.stack(
        [torch.randint(2 * side + 1, (examples,), generator=generator) for side in (rows, columns)]
    )


def crop_flip(images: Tensor, offsets: Tensor, flips: Tensor, padding: int | tuple[int, int]) -> Tensor:
    """images (N, C, H, W), offsets (2, N) from 0 to 2 * padding, flips (N,) -> (N, C, H, W)."""
    N, C, H, W = images.shape
    above, left = sides_px(padding)
    padded = F.pad(images, (left, left, above, above))
    rows = offsets[0, :, None] + torch.arange(H, device=images.device)
    columns = offsets[1, :, None] + torch.arange(W, device=images.device)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    samples = torch.arange(N, device=images.device)[:, None, None, None]
    channels = torch.arange(C, device=images.device)[:, None, None]
    return padded[samples, channels, rows[:, None, :, None], columns[:, None, None, :]]


def draw_boxes(examples: int, generator: torch.Generator) -> Tensor:
    """(examples, 4): half height, half width, the centre's row and column, where the image is -1 to 1."""
    area, log_ratio, row, column = torch.rand(4, examples, generator=generator)
    area = AREA[0] + (AREA[1] - AREA[0]) * area
    ratio = torch.exp(LOG_RATIO[0] + (LOG_RATIO[1] - LOG_RATIO[0]) * log_ratio)
    height = torch.sqrt(area / ratio).clamp(max=1.0)
    width = torch.sqrt(area * ratio).clamp(max=1.0)
    return torch.stack([height, width, (2 * row - 1) * (1 - height), (2 * column - 1) * (1 - width)], dim=1)


def resized_crop_flip(images: Tensor, boxes: Tensor, flips: Tensor) -> Tensor:
    """images (N, C, H, W), boxes (N, 4), flips (N,) -> (N, C, H, W) float32."""
    height, width, row, column = boxes.unbind(1)
    zero = torch.zeros_like(row)
    width = torch.where(flips, -width, width)
    theta = torch.stack([torch.stack([width, zero, column], 1), torch.stack([zero, height, row], 1)], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)
