"""ModelConfig and NormConfig -> a network: built with BatchNorm2d, then converted in place."""

from __future__ import annotations

from typing import Any

from torch import nn

from ubn_sweep.errors import UserError
from ubn_sweep.nn import convert_batchnorm
from ubn_sweep.training.config import NormConfig
from ubn_sweep.training.data.image_size import ImageSize, sides_px
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.models.names import SMALL_RESNETS, is_own, is_timm
from ubn_sweep.training.models.own import GIVEN, find_function
from ubn_sweep.training.models.small_resnets import SmallResNet
from ubn_sweep.training.models.timm_models import build_timm
from ubn_sweep.training.models.torchvision_models import build_torchvision

LARGEST_SMALL_IMAGE_PX = 64
PLAIN_BATCHNORM = {"threshold": None, "centering": False, "scaling": None, "affine": "pointwise"}
"""Options of UBN."""


def build_model(
    model: ModelConfig, num_classes: int, image_size_px: ImageSize, in_channels: int
) -> nn.Module:
    """The network with BatchNorm2d throughout, initialised from the global generator.

    Shapes of the network: x (N, in_channels, H, W) -> logits (N, num_classes).

    Raises:
        UserError: torchvision, timm or the user's function refuses `model.options`, or makes no network.
    """
    if is_own(model.name):
        return _own(model, num_classes, image_size_px, in_channels)
    cifar_stem = model.stem == "cifar" or (
        model.stem == "auto" and max(sides_px(image_size_px)) <= LARGEST_SMALL_IMAGE_PX
    )
    if is_timm(model.name):
        return build_timm(model, num_classes, in_channels, cifar_stem=cifar_stem)
    blocks = SMALL_RESNETS.get(model.name)
    if blocks is None:
        return build_torchvision(model, num_classes, image_size_px, in_channels, cifar_stem=cifar_stem)
    return SmallResNet(
        blocks, model.width, num_classes=num_classes, in_channels=in_channels, cifar_stem=cifar_stem
    )


def _own(model: ModelConfig, num_classes: int, image_size_px: ImageSize, in_channels: int) -> nn.Module:
    function = find_function(model)
    given = dict(zip(GIVEN, (num_classes, in_channels, image_size_px), strict=True))
    made = function(**given, **model.options)
    if not isinstance(made, nn.Module):
        raise UserError(f"model.name: `{model.name}` must return a torch.nn.Module, but returned {made!r}")
    return made


def apply_norm(model: nn.Module, norm: NormConfig) -> nn.Module:
    """Replaces the BatchNorm2d layers by what the config asks for; `bn` leaves them, with its momentum, unless it is
    synchronized.

    Raises:
        UserError: there is none to be replaced.
    """
    if norm.momentum is not None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = norm.momentum
    # What UBN is with all of its parts switched off is BatchNorm, and can be synchronized on any device.
    name = "ubn" if norm.name == "bn" and norm.synchronized else norm.name
    report = convert_batchnorm(model, name, **_options(norm))
    if norm.name != "bn" and not report.replaced:
        kept = f" ({'; '.join(sorted(set(report.kept.values())))})" if report.kept else ""
        raise UserError(
            f"norm.name: `{norm.name}` takes the place of BatchNorm2d layers, but {type(model).__name__} has none "
            f"that can be replaced{kept}: take a model with BatchNorm2d layers, or `bn` to train it as it is"
        )
    return model


def _options(norm: NormConfig) -> dict[str, Any]:
    """Of UnifiedBatchNorm2d. Fields that are null for having no effect are left to it."""
    shared = {"synchronized": True} if norm.synchronized else {}
    if norm.name == "bn" and norm.synchronized:
        return {**PLAIN_BATCHNORM, **shared}
    if norm.name != "ubn":
        return shared
    options: dict[str, Any] = {
        "threshold": norm.threshold,  # null switches the gate off
        "centering": norm.centering,
        "scaling": norm.scaling,  # null is no scaling
        "affine": norm.affine,
        **shared,
    }
    for name in ("similarity_momentum", "kernel_size"):
        if getattr(norm, name) is not None:
            options[name] = getattr(norm, name)
    return options
