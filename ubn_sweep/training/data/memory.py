"""Small images: one uint8 tensor, on a GPU where one trains, batches by indexing, no loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.augmentation import prepare_augmentation
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.data.dataset import Part
from ubn_sweep.training.data.decoded import Decoded
from ubn_sweep.training.data.image_size import size_of
from ubn_sweep.training.data.images import Batch, Splits, batch_ends
from ubn_sweep.training.data.labelled import check_labels
from ubn_sweep.training.data.normalization import Normalization
from ubn_sweep.training.data.splits import split_training_set
from ubn_sweep.training.seeds import generator_for
from ubn_sweep.training.share import WHOLE, Share


class MemoryImages:
    """A split: some `rows` (N,) of pixels (M, C, H, W) uint8, which others share, and their labels (N,) int64, on the
    device that trains. Without rows all of them, in order."""

    def __init__(
        self,
        pixels: Tensor,
        labels: Tensor,
        normalization: Normalization,
        *,
        augmentation: str = "none",
        rows: Tensor | None = None,
    ) -> None:
        self._shared = pixels
        self._rows = rows
        self.labels = labels
        self.normalize = normalization.to(pixels.device)
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def pixels(self) -> Tensor:
        """Of the split, (N, C, H, W)."""
        return self._shared if self._rows is None else self._shared[self._rows]

    def _at(self, positions: Tensor) -> Tensor:
        return self._shared[positions if self._rows is None else self._rows[positions]]

    def take(self, positions: Tensor) -> Batch:
        """These images as they are."""
        chosen = positions.to(self._shared.device)
        return self.normalize(self._at(chosen)), self.labels[chosen]

    def shuffled(self, batch_size: int, *, seed: int, epoch: int, share: Share = WHOLE) -> Iterator[Batch]:
        """Augmented training batches; the same for the same seed and epoch."""
        examples, device = len(self), self._shared.device
        order = torch.randperm(examples, generator=generator_for(seed, "order", epoch)).to(device)
        augment = prepare_augmentation(
            self.augmentation,
            examples,
            size_of(*self._shared.shape[-2:]),
            generator=generator_for(seed, "augmentation", epoch),
            device=device,
        )
        for begin, end in batch_ends(examples, batch_size, share):
            chosen = share.of(order[begin:end])
            pixels = self._at(chosen)
            if augment is not None:
                pixels = augment(pixels, chosen)
            yield self.normalize(pixels), self.labels[chosen]

    def in_order(self, batch_size: int, *, share: Share = WHOLE) -> Iterator[Batch]:
        """All images as they are, for evaluation."""
        own: Tensor = share.of(torch.arange(len(self), device=self._shared.device))
        for positions in own.split(batch_size):
            if len(positions) > 0:  # a tensor without images is split into one without images
                yield self.normalize(self._at(positions)), self.labels[positions]


def _own_validation(own: Decoded, train: Decoded, config: DatasetConfig) -> tuple[Tensor, Tensor]:
    """The data set's own validation images and labels, which may join those to train on.

    Raises:
        UserError: they have other classes, another size or other channels.
    """
    check_labels(own.labels.numpy(), train.num_classes, where=str(config.root))
    if own.pixels.shape[2:] != train.pixels.shape[2:]:
        sizes = [f"{pixels.shape[3]}x{pixels.shape[2]}" for pixels in (own.pixels, train.pixels)]
        raise UserError(
            f"dataset.image_size_px: validation images must have the size of the training images, but have {sizes[0]}, "
            f"not {sizes[1]}: give the size to bring all to"
        )
    return _with_channels(own.pixels, train.pixels.shape[1], config), own.labels


def _with_channels(pixels: Tensor, channels: int, config: DatasetConfig) -> Tensor:
    """Test images as the network was trained to see them: grey ones as three equal channels, colours as their luma.

    Raises:
        UserError: they have other channels than these.
    """
    if pixels.shape[1] == channels:
        return pixels
    if (pixels.shape[1], channels) == (1, 3):
        return pixels.expand(-1, 3, -1, -1).contiguous()
    if (pixels.shape[1], channels) == (3, 1):
        red, green, blue = pixels.int().unbind(1)
        # As Pillow makes grey of colours (ITU-R 601-2), bit for bit.
        luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
        return luma.to(torch.uint8)[:, None]
    raise UserError(
        f"dataset.name: the test images of `{config.name}` must have the {channels} channels of the training images, "
        f"but have {pixels.shape[1]}: convert them"
    )


def split_in_memory(
    config: DatasetConfig, decoded: Callable[[Part], Decoded], *, hold_out: bool, device: torch.device
) -> Splits:
    """The splits of what `decoded` gives, on the device; the test set is asked for when `load_test` is called.

    Raises:
        UserError: there are too few images for a split, or the test set has other classes.
    """
    whole = decoded("train")
    pixels, labels = whole.pixels, whole.labels
    own: tuple[Tensor, Tensor] | None = None
    rest = held_out = None
    if config.own_validation:
        own = _own_validation(decoded("validation"), whole, config)
        if not hold_out:
            pixels, labels = torch.cat([pixels, own[0]]), torch.cat([labels, own[1]])
    elif hold_out and not config.validate_on_test:
        rest, held_out = (torch.from_numpy(part) for part in split_training_set(labels.numpy(), config))
    normalization = Normalization.of(pixels, rest)

    def place(
        pixels: Tensor, labels: Tensor, rows: Tensor | None = None, *, augmentation: str = "none"
    ) -> MemoryImages:
        if rows is not None:
            labels = labels[rows]
            if device.type != "cpu":  # to a GPU goes what is used; in memory all splits share one copy
                pixels, rows = pixels[rows], None
        return MemoryImages(
            pixels.to(device), labels.to(device), normalization, augmentation=augmentation, rows=rows
        )

    def load_test() -> MemoryImages:
        test = decoded("test")
        check_labels(test.labels.numpy(), whole.num_classes, where=str(config.root))
        return place(_with_channels(test.pixels, pixels.shape[1], config), test.labels)

    def validation() -> MemoryImages:
        if config.validate_on_test:
            return load_test()
        return place(pixels, labels, held_out) if own is None else place(*own)

    return Splits(
        train=place(pixels, labels, rest, augmentation=config.augmentation),
        validation=validation() if hold_out else None,
        load_test=load_test,
        num_classes=whole.num_classes,
        in_channels=pixels.shape[1],
        image_size_px=size_of(*pixels.shape[-2:]),
    )
