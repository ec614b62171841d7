"""What becomes of a picture on its way to the network, where it is decoded in every epoch."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.transforms import v2

from ubn_sweep.training.data.augmentation import paddings_px
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.image_size import ImageSize, sides_px

EVALUATION_ENLARGEMENT = 256 / 224
"""resized_crop_flip shows objects larger than they are; evaluation makes up for it by a central crop."""


def training_transform(dataset: DatasetConfig) -> nn.Module:
    """Picture (C, H, W) uint8 -> augmented (C, H, W) uint8."""
    size = dataset.image_size_px
    assert size is not None
    height, width = sides_px(size)
    if dataset.augmentation == "resized_crop_flip":
        ratio = width / height
        crop = v2.RandomResizedCrop((height, width), ratio=(3 / 4 * ratio, 4 / 3 * ratio), antialias=True)
        return v2.Compose([crop, v2.RandomHorizontalFlip()])
    if dataset.augmentation == "crop_flip":
        above, left = paddings_px(size)
        shifted = v2.RandomCrop((height, width), padding=[left, above])
        return v2.Compose([*_to_size(size), shifted, v2.RandomHorizontalFlip()])
    return plain_transform(size)


def evaluation_transform(dataset: DatasetConfig) -> nn.Module:
    """Picture (C, H, W) uint8 -> (C, H, W) uint8."""
    size = dataset.image_size_px
    assert size is not None
    enlarged = dataset.augmentation == "resized_crop_flip"
    return v2.Compose(_to_size(size, enlargement=EVALUATION_ENLARGEMENT if enlarged else 1.0))


def plain_transform(size: ImageSize) -> nn.Module:
    """Picture (C, H, W) uint8 -> (C, H, W) uint8, the whole of it as far as it fits."""
    return v2.Compose(_to_size(size))


class _Cover(nn.Module):
    """Resizes a picture until it just covers a size, enlarged; its ratio stays."""

    def __init__(self, size: ImageSize, enlargement: float) -> None:
        super().__init__()
        self.height, self.width = (round(side * enlargement) for side in sides_px(size))

    def forward(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        if self.height * width <= self.width * height:
            to = [max(self.height, self.width * height // width), self.width]
        else:
            to = [self.height, max(self.width, self.height * width // height)]
        resized: Tensor = v2.functional.resize(picture, to, antialias=True)
        return resized


def _to_size(size: ImageSize, *, enlargement: float = 1.0) -> list[nn.Module]:
    return [_Cover(size, enlargement), v2.CenterCrop(list(sides_px(size)))]
