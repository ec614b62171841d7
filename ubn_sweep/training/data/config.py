"""The section `dataset` of a trial config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from ubn_sweep.schema import OMIT_EMPTY, checked_by, read_by, require
from ubn_sweep.training.data.image_size import ImageSize, read_size, sides_px
from ubn_sweep.training.data.names import check_name
from ubn_sweep.training.fields import PATH


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """Which images, and how they are split. The test set is never seen before the final training."""

    name: Annotated[str, checked_by(check_name)] = "digits"
    """A built-in data set, or `module:Class` of one's own (docs/datasets.md)."""
    root: str | None = field(default=None, metadata={PATH: True})
    """Folder of the data; for `parquet`, one that holds train-*.parquet and test-*.parquet."""
    download: bool = False
    """Lets torchvision download what it can into `root`: CIFAR and MNIST."""
    options: dict[str, Any] = field(default_factory=dict, metadata={OMIT_EMPTY: True})
    """Keys of the data set's own, which its class checks."""
    validation_fraction: float = 0.2
    """Share of the (subset of the) training set that is held out, class by class."""
    own_validation: bool = field(default=False, metadata={OMIT_EMPTY: True})
    """Validates on the data set's own validation part; then nothing is held out of the training set."""
    validate_on_test: bool = field(default=False, metadata={OMIT_EMPTY: True})
    """Validates on the test set and holds nothing out, as papers do: to set runs beside theirs, not to choose by."""
    train_examples: int | None = None
    """Size of a class-balanced subset of the training set, validation included; null takes all of it."""
    test_examples: int | None = None
    """Size of a class-balanced subset of the test set; null takes all of it."""
    split_seed: int = 0
    """Decides the subset and the validation split, so that all trials of a sweep share them."""
    augmentation: Literal["none", "crop_flip", "resized_crop_flip"] = "none"
    image_size_px: Annotated[ImageSize | None, read_by(read_size)] = None
    """Images are resized to this square, or to [height, width]; null keeps their size (`imagefolder` needs a value)."""

    def __post_init__(self) -> None:
        require(
            0.0 < self.validation_fraction < 1.0,
            "0 < validation_fraction < 1",
            self.validation_fraction,
            "0.1 to 0.2 is usual",
        )
        require(
            not (self.own_validation and self.validate_on_test),
            "own_validation or validate_on_test, not both",
            "both",
            "leave one out",
        )
        for name in ("train_examples", "test_examples"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} >= 1", value, "give a count, or null")
        size = self.image_size_px
        require(size is None or min(sides_px(size)) >= 1, "image_size_px >= 1", size, "give a size, or null")
