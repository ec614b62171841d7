"""Small images: one uint8 tensor on the device, batches by indexing, no loader."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ubn_sweep.training.data.augmentation import prepare_augmentation
from ubn_sweep.training.data.images import Batch, batch_ends
from ubn_sweep.training.data.normalization import Normalization
from ubn_sweep.training.seeds import generator_for


class MemoryImages:
    """pixels (N, C, H, W) uint8 and labels (N,) int64, both on the device that trains."""

    def __init__(
        self, pixels: Tensor, labels: Tensor, normalization: Normalization, *, augmentation: str = "none"
    ) -> None:
        self.pixels = pixels
        self.labels = labels
        self.normalize = normalization.to(pixels.device)
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.labels)

    def shuffled(self, batch_size: int, *, seed: int, epoch: int) -> Iterator[Batch]:
        """Augmented training batches; the same for the same seed and epoch."""
        examples, device = len(self), self.pixels.device
        order = torch.randperm(examples, generator=generator_for(seed, "order", epoch)).to(device)
        augment = prepare_augmentation(
            self.augmentation,
            examples,
            self.pixels.shape[-1],
            generator=generator_for(seed, "augmentation", epoch),
            device=device,
        )
        for begin, end in batch_ends(examples, batch_size):
            chosen = order[begin:end]
            pixels = self.pixels[chosen]
            if augment is not None:
                pixels = augment(pixels, chosen)
            yield self.normalize(pixels), self.labels[chosen]

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All images as they are, for evaluation."""
        for pixels, labels in zip(self.pixels.split(batch_size), self.labels.split(batch_size), strict=True):
            yield self.normalize(pixels), labels
