"""The trial config of image classification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ubn_sweep.schema import OMIT_EMPTY
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
class ImageTrainingConfig(TrainingConfig):
    """What else the classification of images can do; the defaults are the paper's plain setting."""

    accumulate: int = 1
    """Batches whose gradients make one step of the optimizer; each has statistics of its own, as one GPU of several."""
    clip_norm: float | None = None
    """Greatest length of the gradient of a step; null does not clip."""
    ema_decay: float | None = None
    """Judges, and keeps, an average of the weights: average = decay * average + (1 - decay) * weights at each step."""
    compile: bool = False
    """Trains through torch.compile."""
    deterministic: bool = True
    """False lets cuDNN choose its fastest algorithms: a run is then not the same bit for bit when it is repeated."""
    tf32: Literal["off", "convolutions", "all"] = "convolutions"
    """What a GPU rounds to 10 bits of mantissa; matrix products only with `all`. The default is PyTorch's."""

    condensation_images: int = field(default=0, metadata={OMIT_EMPTY: True})
    """Measures after each epoch how condensed the features of so many training images are, always the same ones, before
    every normalization layer; the paper takes 32, 0 measures nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        images = self.condensation_images
        require(images == 0 or images >= 2, "condensation_images >= 2", images, "32 is the paper's, 0 is off")
        clip, decay = self.clip_norm, self.ema_decay
        require(self.accumulate >= 1, "accumulate >= 1", self.accumulate, "1 steps after each batch")
        require(clip is None or clip > 0.0, "clip_norm > 0", clip, "give a length, or null")
        require(
            decay is None or 0.0 <= decay < 1.0, "0 <= ema_decay < 1", decay, "0.999 is usual, null is off"
        )


@dataclass(frozen=True, kw_only=True)
class ClassificationConfig:
    """Everything that one training run depends on."""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    norm: NormConfig = field(default_factory=NormConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: ImageTrainingConfig = field(default_factory=ImageTrainingConfig)
    seed: int = 0
    """Of the weights, the order of the images and the augmentation."""
    repeats: int = 1
    """Seeds seed, seed + 1, ... trained epoch by epoch beside each other and judged by their mean."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed >= 0", self.seed, "take any natural number")
        require(self.repeats >= 1, "repeats >= 1", self.repeats, "1 trains one seed")
