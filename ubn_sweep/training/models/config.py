"""Which network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from ubn_sweep.schema import OMIT_EMPTY, checked_by
from ubn_sweep.training.config import require
from ubn_sweep.training.fields import PATH
from ubn_sweep.training.models.names import SMALL_RESNETS, check_name


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """resnet8 and resnet20 are He et al.'s CIFAR networks; others are torchvision's, timm's, or a user's own."""

    name: Annotated[str, checked_by(check_name)] = "resnet8"
    """A built-in name, that of one of torchvision's classifiers, `timm/NAME`, or `module:function` (docs/models.md)."""
    width: int = 16
    """Channels of the first stage of resnet8 and resnet20; the others have their own."""
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """Of residual networks, VGG, Inception-v4. cifar: for small images, a 3x3 convolution of stride 1, no pooling (of
    VGG a classifier of one pixel); auto decides by the image size (64 px)."""
    options: dict[str, Any] = field(default_factory=dict, metadata={OMIT_EMPTY: True})
    """Keys of the model's own: arguments of the user's function, of torchvision's or of timm's."""
    weights: str | None = field(default=None, metadata={OMIT_EMPTY: True, PATH: True})
    """File of pretrained weights of this network with BatchNorm2d; a classifier for other classes starts anew."""

    def __post_init__(self) -> None:
        require(self.width >= 1, "width >= 1", self.width, "16 is usual")
        if self.name in SMALL_RESNETS and self.options:
            key = next(iter(self.options))
            raise ValueError(f"options: `{self.name}` has none, but got `{key}`: remove it")
