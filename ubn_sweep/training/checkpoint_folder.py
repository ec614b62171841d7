"""A folder of checkpoints, one a saved epoch: whole whenever somebody looks, whatever a task writes into them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from ubn_sweep.training import CHECKPOINT_FILE

Save = Callable[[Path], None]
"""Writes a state into a folder."""
Load = Callable[[Path], None]
"""Takes a state from a folder."""


class CheckpointFolder:
    """Keeps the newest checkpoint of a training.

    A task writes into a folder beside, which takes its name when it is whole: a kill at any moment leaves the
    checkpoint before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, epoch: int, save: Save) -> Path:
        """Writes the checkpoint of an epoch, then removes the one before."""
        target = self.path / f"epoch-{epoch:05d}"
        beside = self.path / f"writing-{epoch:05d}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        save(beside)
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
        for other in self.path.iterdir():
            if other != target:
                shutil.rmtree(other, ignore_errors=True) if other.is_dir() else other.unlink()
        return target

    def newest(self) -> Path | None:
        """The whole checkpoint with the highest epoch; None where there is none."""
        newest = max(self.path.glob("epoch-*"), key=epoch_of, default=None)
        if newest is None and (self.path / CHECKPOINT_FILE).is_file():
            return self.path  # as version 0.1 wrote that of a final training
        return newest


def epoch_of(checkpoint: Path) -> int:
    """The epoch that a checkpoint was saved after."""
    return int(checkpoint.name.removeprefix("epoch-"))
