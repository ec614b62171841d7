"""timm's models by name, `timm/res2net50_26w_4s`, where the package is installed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ubn_sweep.errors import UserError
from ubn_sweep.schema import did_you_mean
from ubn_sweep.training.models.config import ModelConfig
from ubn_sweep.training.models.names import TIMM_PREFIX

if TYPE_CHECKING:
    from torch import nn


def find_timm(name: str) -> Any:
    """The package, known to have the model of `timm/NAME`.

    Raises:
        UserError: timm is not installed, or has no such model.
    """
    try:
        timm = importlib.import_module("timm")
    except ImportError as error:
        raise UserError(
            f"model.name: `{name}` needs the package timm, which is not installed: pip install 'ubn-sweep[timm]'"
        ) from error
    own = name.removeprefix(TIMM_PREFIX)
    if not timm.is_model(own):
        raise UserError(
            f"model.name: timm {timm.__version__} has no model `{own}`{did_you_mean(own, timm.list_models())}: "
            "timm.list_models() names those that it has"
        )
    return timm


def build_timm(model: ModelConfig, num_classes: int, in_channels: int, *, cifar_stem: bool) -> nn.Module:
    """The network without weights. Residual networks and Inception-v4 take a stem for small images; `auto` leaves the
    others as they are.

    Raises:
        UserError: timm is absent, has no such model, refuses `model.options`, or the model has no such stem.
    """
    timm = find_timm(model.name)
    try:
        network: nn.Module = timm.create_model(
            model.name.removeprefix(TIMM_PREFIX),
            num_classes=num_classes,
            in_chans=in_channels,
            **model.options,
        )
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"model.options: timm's `{model.name}` refuses its arguments ({reason}): change them"
        ) from error
    if not cifar_stem:
        return network
    kind = type(network).__name__
    if kind == "ResNet":
        _set_resnet_stem(network)
    elif kind == "InceptionV4":
        _set_inception_stem(network)
    elif model.stem == "cifar":
        raise UserError(
            f"model.stem: `{model.name}` has no stem for small images: take auto, or larger images by "
            "dataset.image_size_px"
        )
    return network


def _set_resnet_stem(network: Any) -> None:
    """A 3x3 convolution of stride 1, without pooling; a stem of three convolutions loses its strides alone."""
    from torch import nn

    if isinstance(network.conv1, nn.Conv2d):
        old = network.conv1
        network.conv1 = nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    else:
        network.conv1[0].stride = (1, 1)
    network.maxpool = nn.Identity()


def _set_inception_stem(network: Any) -> None:
    """Only the last part of the stem halves the image, so that 32 px leave 3 to the last blocks.

    Which of its steps to flatten is what networks for CIFAR usually do; the paper does not say it.
    """
    first, second, _, mixed3, mixed4, mixed5 = network.features[:6]
    for convolution in (first.conv, mixed3.conv.conv):
        convolution.stride = (1, 1)
    padded = (first, second, mixed3.conv, mixed4.branch0[1], mixed4.branch1[3], mixed5.conv)
    for layer in padded:
        layer.conv.padding = (1, 1)
    mixed3.maxpool.stride = 1
    for pool in (mixed3.maxpool, mixed5.maxpool):
        pool.padding = 1
