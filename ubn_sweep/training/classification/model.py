"""A trained classifier taken from a checkpoint: what it needs besides the weights lies in the checkpoint too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ubn_sweep.errors import UserError
from ubn_sweep.training.checkpoint import read_checkpoint
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.data.image_size import sides_px
from ubn_sweep.training.models.build import apply_norm, build_model


class TrainedClassifier(nn.Module):
    """logits = network((x - shift) * factor).

    Shapes: x (N, C, H, W), pixels from 0 to 255 of the size that the network was trained on -> (N, num_classes).
    """

    shift: Tensor
    factor: Tensor

    def __init__(self, network: nn.Module, shift: Tensor, factor: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("shift", shift)
        self.register_buffer("factor", factor)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network((x.to(self.shift.dtype) - self.shift) * self.factor)
        return logits


def example_pixels(folder: Path) -> np.ndarray:
    """Two images of noise, of the size and channels that a checkpoint's network was trained on: float32 (2, C, H, W).

    Raises:
        UserError: as `load_network`.
    """
    shape = _shape(read_checkpoint(folder, torch.device("cpu")), folder)
    height, width = sides_px(shape["image_size_px"])
    noise = np.random.default_rng(0).integers(0, 256, (2, shape["in_channels"], height, width))
    return noise.astype(np.float32)


def load_network(config: ClassificationConfig, folder: Path) -> TrainedClassifier:
    """The classifier of a checkpoint, on the CPU, in evaluation mode; of several repeats the first. Where weights were
    averaged, the average.

    Raises:
        UserError: there is no checkpoint, it is damaged, or it was written by version 0.1, which kept too little.
    """
    content = read_checkpoint(folder, torch.device("cpu"))
    shape = _shape(content, folder)
    network = apply_norm(
        build_model(config.model, shape["num_classes"], shape["image_size_px"], shape["in_channels"]),
        config.norm,
    )
    state = content["repeats"][0]
    network.load_state_dict(state.get("average", state["model"]))
    return TrainedClassifier(network, shape["shift"], shape["factor"]).eval()


def _shape(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a network needs besides the config to be built."""
    shape: dict[str, Any] | None = content.get("network")
    if shape is None:
        raise UserError(
            f"{folder}: the checkpoint was written by version 0.1, which did not keep the number of classes: "
            "train the config again"
        )
    return shape
