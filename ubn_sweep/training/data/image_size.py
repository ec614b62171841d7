"""The size of images: one number where they are square, height and width where they are not."""

from __future__ import annotations

from typing import Any

ImageSize = int | tuple[int, int]
"""In pixels: of a square's side, or (height, width)."""


def read_size(written: Any) -> Any:
    """A number, or two in a list; None stays.

    Raises:
        ValueError: it is something else.
    """
    sides = written if isinstance(written, list | tuple) and len(written) == 2 else [written]
    if written is not None and not all(type(side) is int for side in sides):
        raise ValueError(f"should be a number of pixels or [height, width], but got {written!r}")
    return written


def sides_px(size: ImageSize) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def size_of(height_px: int, width_px: int) -> ImageSize:
    """One number where they are equal."""
    return height_px if height_px == width_px else (height_px, width_px)
