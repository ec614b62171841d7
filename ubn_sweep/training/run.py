"""One training as everybody who starts one sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Run:
    """One training, epoch by epoch: the base of all runs.

    A subclass trains, judges, saves and loads; what is left out here has a meaning.
    """

    epoch: int = 0
    """Epochs trained so far."""
    test_examples: int | None = None
    """How many there were, once the test set was read; None where a count means nothing."""

    @property
    def diverged(self) -> bool:
        """Whether a loss or a weight is not finite any more; training on would be in vain."""
        return False

    @property
    def summary(self) -> str:
        """What is about to be trained, on what, in a line."""
        return type(self).__name__

    @property
    def correct(self) -> Any:
        """Which examples of the last evaluation were right, truth values of the shape (seeds, examples) in the order
        of the split; None where a task does not tell. By them trials are compared example by example."""
        return None

    def train_epoch(self) -> dict[str, float]:
        """Trains one epoch, counts it, and judges on the validation split where one is held out."""
        raise NotImplementedError(f"{type(self).__name__} must say what an epoch is")

    def evaluate_validation(self) -> dict[str, float]:
        """The validation metrics for the state as it is; none where nothing is held out."""
        return {}

    def evaluate_test(self) -> dict[str, float]:
        """Judges on the test set, which nothing else reads."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is tested")

    def save(self, folder: Path) -> None:
        """Writes all that `load` needs to go on as if nothing had happened."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is saved")

    def load(self, folder: Path) -> None:
        """Takes up what `save` wrote."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is loaded")
