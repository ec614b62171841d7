"""torchvision's classifiers, for any number of classes and channels."""

from __future__ import annotations

from typing import Any

from torch import nn

from ubn_sweep.errors import UserError
from ubn_sweep.training.data.image_size import ImageSize, sides_px
from ubn_sweep.training.models.config import ModelConfig

WITH_AUXILIARY_CLASSIFIERS = ("googlenet", "inception_v3")


def build_torchvision(
    model: ModelConfig, num_classes: int, image_size_px: ImageSize, in_channels: int, *, cifar_stem: bool
) -> nn.Module:
    """The network without weights. Residual networks take a stem for small images, VGG a classifier for them; the
    others have their own.

    Raises:
        UserError: torchvision refuses `model.options` or the image size.
    """
    from torchvision import models

    arguments = {**_arguments(model.name, image_size_px), **model.options}
    try:
        network: nn.Module = getattr(models, model.name)(weights=None, num_classes=num_classes, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"model.options: torchvision's `{model.name}` refuses its arguments ({reason}): change them"
        ) from error
    if isinstance(network, models.ResNet):
        _set_resnet_stem(network, in_channels, cifar_stem=cifar_stem)
    elif in_channels != 3:
        _set_channels(network, in_channels)
    if isinstance(network, models.VGG) and cifar_stem:
        _set_small_vgg_classifier(network)
    return network


def _arguments(name: str, image_size_px: ImageSize) -> dict[str, Any]:
    if name in WITH_AUXILIARY_CLASSIFIERS:
        return {"aux_logits": False, "init_weights": True}  # one tensor of logits, also in training
    if name.startswith("maxvit_"):
        return {"input_size": sides_px(image_size_px)}
    return {"image_size": image_size_px} if name.startswith("vit_") else {}


def _set_resnet_stem(network: Any, in_channels: int, *, cifar_stem: bool) -> None:
    if not cifar_stem and in_channels == 3:
        return
    kind = {"kernel_size": 3, "padding": 1} if cifar_stem else {"kernel_size": 7, "stride": 2, "padding": 3}
    network.conv1 = nn.Conv2d(in_channels, 64, bias=False, **kind)  # type: ignore[arg-type]
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    if cifar_stem:
        network.maxpool = nn.Identity()


def _set_small_vgg_classifier(network: Any) -> None:
    """Of the one pixel that 32 px come to: torchvision would repeat it 49 times, for 103 million weights more."""
    old = network.classifier[0]
    first = nn.Linear(old.in_features // 49, old.out_features)
    nn.init.normal_(first.weight, 0, 0.01)  # as torchvision starts the others
    nn.init.zeros_(first.bias)
    network.avgpool, network.classifier[0] = nn.AdaptiveAvgPool2d(1), first


def _set_channels(network: nn.Module, in_channels: int) -> None:
    """The first convolution for other channels than three, with torch's own start."""
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    new = nn.Conv2d(
        in_channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, new)
