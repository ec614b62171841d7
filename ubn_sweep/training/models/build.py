"""ModelConfig and NormConfig -> a network: built with BatchNorm2d, then converted in place."""

from __future__ import annotations

from typing import Any

from torch import nn

from ubn_sweep.errors import UserError
from ubn_sweep.nn import convert_batchnorm
from ubn_sweep.training.config import NormConfig
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.models.small_resnets import SmallResNet

SMALL_RESNET_BLOCKS = {"resnet8": 1, "resnet20": 3}
LARGEST_SMALL_IMAGE_PX = 64


def build_model(model: ModelConfig, num_classes: int, image_size_px: int, in_channels: int) -> nn.Module:
    """The network with BatchNorm2d throughout, initialised from the global generator.

    Shapes of the network: x (N, in_channels, H, W) -> logits (N, num_classes).
    """
    cifar_stem = model.stem == "cifar" or (model.stem == "auto" and image_size_px <= LARGEST_SMALL_IMAGE_PX)
    blocks = SMALL_RESNET_BLOCKS.get(model.name)
    if blocks is None:
        return _torchvision_resnet(model.name, num_classes, in_channels, cifar_stem=cifar_stem)
    return SmallResNet(
        blocks, model.width, num_classes=num_classes, in_channels=in_channels, cifar_stem=cifar_stem
    )


def apply_norm(model: nn.Module, norm: NormConfig) -> nn.Module:
    """Replaces the BatchNorm2d layers by what the config asks for; `bn` leaves them, with its momentum.

    Raises:
        UserError: there is none to be replaced.
    """
    if norm.momentum is not None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = norm.momentum
    report = convert_batchnorm(model, norm.name, **_options(norm))
    if norm.name != "bn" and not report.replaced:
        kept = f" ({'; '.join(sorted(set(report.kept.values())))})" if report.kept else ""
        raise UserError(
            f"norm.name: `{norm.name}` takes the place of BatchNorm2d layers, but {type(model).__name__} has none "
            f"that can be replaced{kept}: take a model with BatchNorm2d layers, or `bn` to train it as it is"
        )
    return model


def _options(norm: NormConfig) -> dict[str, Any]:
    """Of UnifiedBatchNorm2d. Fields that are null for having no effect are left to it."""
    if norm.name != "ubn":
        return {}
    options = {
        "threshold": norm.threshold,  # null switches the gate off
        "centering": norm.centering,
        "scaling": norm.scaling,  # null is no scaling
        "affine": norm.affine,
    }
    for name in ("similarity_momentum", "kernel_size"):
        if getattr(norm, name) is not None:
            options[name] = getattr(norm, name)
    return options


def _torchvision_resnet(name: str, num_classes: int, in_channels: int, *, cifar_stem: bool) -> nn.Module:
    from torchvision import models

    model: nn.Module = getattr(models, name)(weights=None, num_classes=num_classes)
    if not cifar_stem and in_channels == 3:
        return model
    kind = {"kernel_size": 3, "padding": 1} if cifar_stem else {"kernel_size": 7, "stride": 2, "padding": 3}
    model.conv1 = nn.Conv2d(in_channels, 64, bias=False, **kind)  # type: ignore[arg-type]
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    if cifar_stem:
        model.maxpool = nn.Identity()
    return model
