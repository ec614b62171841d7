"""The networks: their sizes, their layers, and that configs reach the normalization layers."""

import pytest
import torch
from torch import nn

from tests.training.builders import tiny_config
from ubn_sweep.errors import UserError
from ubn_sweep.nn import UnifiedBatchNorm2d
from ubn_sweep.training.config import NormConfig
from ubn_sweep.training.models.build import apply_norm, build_model
from ubn_sweep.training.models.config import ModelConfig


def build(name, *, size=32, channels=3, classes=10, **keys):
    return build_model(ModelConfig(name=name, **keys), classes, size, channels)


def norms(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


@pytest.mark.parametrize(
    ("name", "convolutions", "parameters"),
    # He et al., table 6: 0.27 million parameters for resnet20.
    [("resnet8", 7, 75_290 + 0), ("resnet20", 19, 269_722)],
)
def test_the_small_networks_are_those_of_the_paper(name, convolutions, parameters):
    model = build(name)
    assert len(norms(model, nn.Conv2d)) == len(norms(model, nn.BatchNorm2d)) == convolutions
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert model.stage3(model.stage2(model.stage1(model.stem(torch.zeros(2, 3, 32, 32))))).shape == (
        2,
        64,
        8,
        8,
    )


def test_the_shortcut_is_the_image_itself_at_half_the_size():
    block = build("resnet8").stage2[0].eval()
    for convolution in norms(block, nn.Conv2d):
        nn.init.zeros_(convolution.weight)
    x = torch.rand(2, 16, 8, 8)
    y = block(x)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()


@pytest.mark.parametrize(("size", "stem", "small"), [(32, "auto", True), (64, "auto", True), (65, "auto", False),
                                                     (32, "imagenet", False), (224, "cifar", True)])  # fmt: skip
@pytest.mark.parametrize("name", ["resnet8", "resnet18"])
def test_the_stem_follows_the_image_size(name, size, stem, small):
    model = build(name, size=size, stem=stem)
    first = norms(model, nn.Conv2d)[0]
    assert first.kernel_size == ((3, 3) if small else (7, 7))
    assert first.stride == ((1, 1) if small else (2, 2))
    assert bool(norms(model, nn.MaxPool2d)) is not small


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("resnet50", "resnext50_32x4d", "wide_resnet50_2")
        ),
    ],
)
def test_torchvision_networks_take_any_channels_and_classes(name):
    model = build(name, channels=1, classes=7).eval()
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


def test_every_batchnorm_becomes_ubn_with_the_configs_options():
    model = build("resnet18")
    count = len(norms(model, nn.BatchNorm2d))
    config = NormConfig(
        threshold=0.3,
        momentum=0.2,
        similarity_momentum=0.4,
        centering=False,
        scaling="instance",
        kernel_size=5,
    )
    apply_norm(model, config)
    layers = norms(model, UnifiedBatchNorm2d)
    assert len(layers) == count
    assert not norms(model, nn.BatchNorm2d)
    layer = layers[3]
    assert (layer.threshold, layer.momentum, layer.similarity_momentum) == (0.3, 0.2, 0.4)
    assert (layer.centering, layer.scaling, layer.affine, layer.kernel_size) == (
        False,
        "instance",
        "depthwise",
        5,
    )


def test_switched_off_parts_are_off():
    config = NormConfig(gate=False, centering=False, scaling=None, affine="pointwise")
    layer = norms(apply_norm(build("resnet8"), config), UnifiedBatchNorm2d)[0]
    assert (layer.threshold, layer.centering, layer.scaling, layer.affine) == (None, False, None, "pointwise")


@pytest.mark.parametrize("model_name", ["resnet8", "resnet18"])  # torchvision's change activations in place
@pytest.mark.parametrize("name", ["bn", "in", "gn", "rbn", "bnet", "iebn", "ubn"])
def test_relatives_by_their_names(name, model_name):
    momentum = None if name in ("in", "gn") else 0.3
    config = tiny_config(norm={"name": name, "momentum": momentum}).norm
    model = build(model_name)
    count = len(norms(model, nn.BatchNorm2d))
    apply_norm(model, config)
    kinds = {"bn": nn.BatchNorm2d, "in": nn.InstanceNorm2d, "gn": nn.GroupNorm}
    layers = norms(model, kinds.get(name, UnifiedBatchNorm2d))
    assert len(layers) == count
    if momentum is not None:
        assert {layer.momentum for layer in layers} == {momentum}
    loss = model(torch.rand(4, 3, 32, 32)).sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_ubn_without_its_parts_trains_as_batchnorm_does():
    from ubn_sweep.training.classification.run import TrainingRun

    plain = {"name": "ubn", "gate": False, "threshold": None, "centering": False, "scaling": None}
    plain["affine"] = "pointwise"
    bn, ubn = (TrainingRun(tiny_config(norm=norm)).train_epoch() for norm in ({"name": "bn"}, plain))
    assert ubn["train_loss"] == pytest.approx(bn["train_loss"], rel=1e-3)
    assert ubn["val_loss"] == pytest.approx(bn["val_loss"], rel=1e-2)


@pytest.mark.parametrize("name", ["ubn", "gn"])
def test_a_conversion_that_replaces_nothing_is_an_error(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SyncBatchNorm(4))
    with pytest.raises(
        UserError, match=r"^norm.name: `\w+` takes the place .* Sequential has none .*SyncBatchNorm"
    ):
        apply_norm(model, NormConfig(name=name))
    apply_norm(model, NormConfig(name="bn"))
