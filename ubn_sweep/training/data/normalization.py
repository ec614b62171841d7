"""Pixels -> what a network is fed."""

from __future__ import annotations

import torch
from torch import Tensor

AT_ONCE = 4096
"""Images whose pixels are counted at once: a copy of all would be another data set in memory."""


class Normalization:
    """Per channel: (x - mean) / std, of the training split's pixels."""

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        # A channel without any variation is only centred.
        self.shift = mean.float()[:, None, None]
        self.factor = torch.where(std > 0, 1 / std, 1.0).float()[:, None, None]

    @staticmethod
    def of(pixels: Tensor, rows: Tensor | None = None) -> Normalization:
        """Gives these images (N, C, H, W) uint8, or some rows (M,) of them, mean 0 and variance 1 in each channel."""
        levels = torch.arange(256, dtype=torch.float64)
        parts = pixels.split(AT_ONCE) if rows is None else (pixels[some] for some in rows.split(AT_ONCE))
        counts = sum(_levels(part) for part in parts)
        assert isinstance(counts, Tensor), "there are images"
        shares = counts.double().cpu() / counts.sum(1, keepdim=True).cpu()
        mean = shares @ levels
        variance = (shares * (levels - mean[:, None]) ** 2).sum(1)
        return Normalization(mean, variance.sqrt())

    def to(self, device: torch.device) -> Normalization:
        """The same on a device."""
        moved = object.__new__(Normalization)
        moved.shift, moved.factor = self.shift.to(device), self.factor.to(device)
        return moved

    def __call__(self, pixels: Tensor) -> Tensor:
        return pixels.to(torch.float32).sub_(self.shift).mul_(self.factor)


def _levels(pixels: Tensor) -> Tensor:
    """How often each of 256 levels occurs, (C, 256)."""
    return torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in pixels.unbind(1)])
