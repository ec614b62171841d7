"""Encoded image -> square picture, the same for every dataset of files."""

from __future__ import annotations

from typing import IO

from PIL import Image, ImageOps

GREY_MODES = ("1", "L", "I", "I;16", "LA")


def open_image(file: str | IO[bytes], *, grey: bool) -> Image.Image:
    """Decodes, turns as the camera's orientation says, and drops transparency and palettes."""
    with Image.open(file) as image:
        turned = ImageOps.exif_transpose(image)
        return turned.convert("L" if grey else "RGB")


def is_grey(file: str | IO[bytes]) -> bool:
    """Whether the image has one channel."""
    with Image.open(file) as image:
        return image.mode in GREY_MODES


def to_square(image: Image.Image, size: int) -> Image.Image:
    """Resizes the shorter side to `size` and cuts out the centre."""
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
