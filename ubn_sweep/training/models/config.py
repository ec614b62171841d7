"""Which network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ubn_sweep.training.config import require

ModelName = Literal[
    "resnet8",
    "resnet20",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "wide_resnet50_2",
]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A residual network: resnet8 and resnet20 are He et al.'s CIFAR networks, the others torchvision's."""

    name: ModelName = "resnet8"
    width: int = 16
    """Channels of the first stage of resnet8 and resnet20; the others have their own."""
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """cifar: a 3x3 convolution and no pooling, for small images; auto decides by the image size (64 px)."""

    def __post_init__(self) -> None:
        require(self.width >= 1, "width >= 1", self.width, "16 is usual")
