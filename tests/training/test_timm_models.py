"""timm's models by name, and networks for small images: built, converted, trained, and one line for what is wrong."""

import sys

import pytest
import torch
from torch import nn

from tests.training.builders import tiny_config
from ubn_sweep.errors import UserError
from ubn_sweep.nn import UnifiedBatchNorm2d
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.classification.task import ImageClassification
from ubn_sweep.training.config import NormConfig
from ubn_sweep.training.models.build import apply_norm, build_model
from ubn_sweep.training.models.config import ModelConfig


def on_meta(name, size, *, channels=3, classes=7, **keys):
    with torch.device("meta"):
        return build_model(ModelConfig(name=name, **keys), classes, size, channels)


def logits_of(model, size, channels=3):
    return model(torch.zeros(2, channels, size, size, device="meta"))


def convolutions(model):
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize(
    ("size", "stem", "small"), [(32, "auto", True), (224, "auto", False), (224, "cifar", True)]
)
def test_res2net_by_its_name(size, stem, small):
    model = on_meta("timm/res2net50_26w_4s", size, stem=stem)
    first = convolutions(model)[0]
    assert (first.kernel_size, first.stride) == (((3, 3), (1, 1)) if small else ((7, 7), (2, 2)))
    assert logits_of(model, size).shape == (2, 7)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    apply_norm(model, NormConfig())
    assert sum(isinstance(module, UnifiedBatchNorm2d) for module in model.modules()) == norms == 85


@pytest.mark.slow
def test_inception_v4_for_small_images():
    model = on_meta("timm/inception_v4", 32, channels=1)
    sizes = {}
    for place in (5, 10, 18, 21):
        model.features[place].register_forward_hook(
            lambda module, given, made, place=place: sizes.update({place: made.shape[-1]})
        )
    apply_norm(model, NormConfig())  # timm's layers with their activations
    assert logits_of(model, 32, channels=1).shape == (2, 7)
    assert list(sizes.values()) == [16, 7, 3, 3]
    assert sum(isinstance(module, UnifiedBatchNorm2d) for module in model.modules()) == len(
        convolutions(model)
    )
    large = on_meta("timm/inception_v4", 299)
    assert (large.features[0].conv.stride, large.features[5].conv.conv.padding) == ((2, 2), (0, 0))


def test_a_stem_of_three_convolutions_keeps_them():
    model = on_meta("timm/resnet18d", 32)
    assert [layer.stride for layer in convolutions(model)[:3]] == [(1, 1)] * 3
    assert isinstance(model.maxpool, nn.Identity)


@pytest.mark.parametrize(("name", "blocks"), [("vgg11_bn", 8), ("vgg13_bn", 10)])
def test_vgg_for_small_images_has_the_classifier_of_one_pixel(name, blocks):
    model = on_meta(name, 32, classes=10)
    assert len(convolutions(model)) == sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == blocks
    assert [layer.in_features for layer in model.classifier if isinstance(layer, nn.Linear)] == [
        512,
        4096,
        4096,
    ]
    assert logits_of(model, 32).shape == (2, 10)
    assert on_meta(name, 32, stem="imagenet").classifier[0].in_features == 512 * 49
    assert on_meta(name, 224).classifier[0].in_features == 512 * 49


@pytest.mark.slow
def test_vggs_first_layer_starts_as_its_others():
    model = build_model(ModelConfig(name="vgg11_bn"), 10, 32, 3)
    assert model.classifier[0].weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not model.classifier[0].bias.any()


def test_one_of_timms_trains_with_its_keys():
    keys = {"name": "timm/test_resnet", "options": {"drop_rate": 0.1}}
    run = TrainingRun(tiny_config(model=keys, norm={"name": "ubn"}, training={"batch_size": 50}))
    assert "similarity" in run.train_epoch()


def build_checked(keys):
    config = tiny_config(model=keys)
    ImageClassification().check(config)
    build_model(config.model, 10, 32, 3)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            {"name": "timm/res2net50_26w_4"},
            "has no model `res2net50_26w_4` (did you mean `res2net50_26w_4s`?)",
        ),
        ({"name": "timm/"}, "model.name: should be 'resnet8', 'resnet20', a classifier of torchvision's"),
        ({"name": "timm/resnet18", "options": {"depth": 3}}, "model.options: timm's `timm/resnet18` refuses"),
        (
            {"name": "timm/mobilenetv3_small_050", "stem": "cifar"},
            "model.stem: `timm/mobilenetv3_small_050` has no",
        ),
    ],
)
def test_what_is_wrong_is_one_line(keys, expected):
    with pytest.raises(UserError) as caught:
        build_checked(keys)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_timm_its_models_are_told_in_a_line(monkeypatch):
    config = tiny_config(model={"name": "timm/resnet18"})
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        UserError, match=r"^model.name: `timm/resnet18` needs .* pip install 'ubn-sweep\[timm\]'$"
    ):
        ImageClassification().check(config)
