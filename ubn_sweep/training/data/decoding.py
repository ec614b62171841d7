"""Encoded image -> picture of a size, the same for every dataset of files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from ubn_sweep.training.data.image_size import ImageSize, sides_px

SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
GREY_MODES = ("1", "L", "LA", "I", "F", *SIXTEEN_BITS)
READ_AS_SIXTEEN_BITS = ("PPM", "PNG")
"""Formats whose pixels of mode `I` are 16 bits wide; those of a TIFF may be anything."""


def open_image(file: str | IO[bytes], *, grey: bool | None) -> Image.Image:
    """Decodes, turns as the camera's orientation says, and drops transparency and palettes; 16 bits become 8.

    Args:
        grey: None leaves a grey image grey and one in colours in colours.

    Raises:
        OSError, ValueError, SyntaxError: it is damaged, or the range of its pixels is not known.
    """
    with Image.open(file) as image:
        mode = "L" if grey or (grey is None and image.mode in GREY_MODES) else "RGB"
        return _eight_bits(ImageOps.exif_transpose(image), image.format).convert(mode)


def _eight_bits(image: Image.Image, format: str | None) -> Image.Image:
    """What Pillow would otherwise cut off at 255: 65535 becomes 255, 0 stays."""
    if image.mode == "F":
        raise ValueError("its pixels are floats, whose range is not known: save it with 8 or 16 bits")
    if image.mode == "I" and format not in READ_AS_SIXTEEN_BITS:
        raise ValueError(
            "its pixels are 32-bit integers, whose range is not known: save it with 8 or 16 bits"
        )
    if image.mode not in ("I", *SIXTEEN_BITS):
        return image
    values = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def all_grey(files: Iterable[str | IO[bytes]]) -> bool:
    """Whether no image has colours. Headers are read, up to the first image in colours; damaged ones do not count."""
    return all(_is_grey(file) for file in files)


def _is_grey(file: str | IO[bytes]) -> bool:
    try:
        with Image.open(file) as image:
            return image.mode in GREY_MODES
    except (OSError, ValueError, SyntaxError):  # whoever decodes it says so
        return True


def to_size(image: Image.Image, size: ImageSize) -> Image.Image:
    """Resizes until the image just covers the size, and cuts out the centre."""
    height, width = sides_px(size)
    if image.size == (width, height):
        return image
    return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
