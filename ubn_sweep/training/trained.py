"""A model that was trained for good, taken from its folder: needs torch, torchvision and this package alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.training.checkpoint_folder import CheckpointFolder
from ubn_sweep.training.loading import load_config
from ubn_sweep.training.task import Task


def load_trained(folder: Path | str) -> Any:
    """The model that `ubn-sweep train` left in a folder, `runs/NAME`; of a classifier a torch.nn.Module in evaluation
    mode: pixels (N, C, H, W) from 0 to 255 -> logits (N, classes).

    Raises:
        UserError: nothing was trained there, or the task does not say how its model is loaded.
    """
    task, config, checkpoint = trained_in(Path(folder))
    return task.load_model(config, checkpoint)


def trained_in(folder: Path) -> tuple[Task, Any, Path]:
    """Task, config and newest checkpoint of a final training.

    Raises:
        UserError: nothing was trained there.
    """
    place = FinalFolder(folder=folder)
    newest = CheckpointFolder(place.checkpoint).newest() if place.config.is_file() else None
    if newest is None:
        raise UserError(
            f"{folder}: holds no trained model: give the folder of a `ubn-sweep train`, runs/NAME"
        )
    task, config = load_config(place.config)
    return task, config, newest
