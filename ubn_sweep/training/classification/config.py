"""The trial config of image classification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ubn_sweep.training.config import (
    NormConfig,
    OptimizerConfig,
    TrainingConfig,
    require,
)
from ubn_sweep.training.data.config import DatasetConfig
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.provenance import Provenance


@dataclass(frozen=True, kw_only=True)
class ClassificationConfig:
    """Everything that one training run depends on."""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    norm: NormConfig = field(default_factory=NormConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    """Of the weights, the order of the images and the augmentation."""
    repeats: int = 1
    """Seeds seed, seed + 1, ... trained epoch by epoch beside each other and judged by their mean."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed >= 0", self.seed, "take any natural number")
        require(self.repeats >= 1, "repeats >= 1", self.repeats, "1 trains one seed")
