"""Conversion of whole models and back, and folding for inference."""

from __future__ import annotations

import copy
import re
import warnings

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import regnet

from tests.nn.builders import DEVICE, images
from ubn_sweep.nn import (
    NORM_NAMES,
    SynchronizedUnifiedBatchNorm2d,
    UnifiedBatchNorm2d,
    convert_batchnorm,
    fold_batchnorm,
    make_norm,
    revert,
)

PLAIN = {"threshold": None, "centering": False, "scaling": None}
CLASSIFIERS = torchvision.models.list_models(module=torchvision.models)
FAMILIES = {re.match("[a-z]+", name)[0]: name for name in CLASSIFIERS}
"""Each family's last model; the rest are its other sizes, and among the slow tests."""
DETECTORS = torchvision.models.list_models(module=torchvision.models.detection)


def small_model() -> nn.Sequential:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6, eps=1e-3, momentum=0.3), nn.ReLU())
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), block, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.to(DEVICE)
    for seed in range(3):
        model(noise(5, 3, 8, 8, seed=seed))
    return model


def noise(*shape: int, seed: int = 5) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def counts(model: nn.Module) -> dict[str, int]:
    modules = list(model.modules())
    return {
        kind.__name__: sum(type(m) is kind for m in modules) for kind in (nn.BatchNorm2d, UnifiedBatchNorm2d)
    }


def test_what_is_carried_over() -> None:
    model = small_model()
    model[1].eval()
    model[1].weight.requires_grad_(False)
    calls = []
    model[2][1].register_forward_hook(lambda *arguments: calls.append(1))
    before = copy.deepcopy(model)
    weight = model[1].weight
    report = convert_batchnorm(model, threshold=0.2, affine="pointwise")
    assert [r.name for r in report.replaced] == ["1", "2.1"]
    assert model[1].weight is weight
    assert not model[1].training
    assert model[2][1].training
    assert (model[2][1].eps, model[2][1].momentum, model[2][1].threshold) == (1e-3, 0.3, 0.2)
    for name in ("bias", "running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(getattr(model[2][1], name), getattr(before[2][1], name))
    sigmoid_of_1 = torch.sigmoid(torch.tensor(1.0))
    torch.testing.assert_close(model[2][1].weight * sigmoid_of_1, before[2][1].weight)
    model(noise(5, 3, 8, 8))
    assert calls
    assert set(report.new_parameters) == {
        f"{layer}.{name}"
        for layer in ("1", "2.1")
        for name in ("center_weight", "scale_weight", "scale_bias")
    }
    assert not report.dropped_parameters


@pytest.mark.parametrize("affine", ["pointwise", "depthwise"])
def test_without_rectifiers_the_function_stays(affine: str) -> None:
    model = small_model()
    expected = copy.deepcopy(model)
    report = convert_batchnorm(model, affine=affine, **PLAIN)
    x = noise(5, 3, 8, 8)
    for training in (True, False):
        torch.testing.assert_close(
            model.train(training)(x), expected.train(training)(x), rtol=1e-4, atol=1e-5
        )
    assert (affine == "depthwise") == bool(report.dropped_parameters)


def test_device_and_dtype() -> None:
    model = small_model().double()
    convert_batchnorm(model)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    with torch.device("meta"):
        meta = small_model_structure()
    convert_batchnorm(meta)
    assert all(p.is_meta for p in meta.parameters())


def small_model_structure() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))


@pytest.mark.parametrize(
    "chosen",
    [r"^2\.", ["^2"], lambda name, layer: layer.eps == 1e-3],
    ids=["pattern", "patterns", "predicate"],
)
def test_filters(chosen: object) -> None:
    model = small_model()
    report = convert_batchnorm(model, filter=chosen)  # type: ignore[arg-type]
    assert [r.name for r in report.replaced] == ["2.1"]
    assert report.kept == {"1": "filtered out"}


def test_a_shared_layer_stays_shared() -> None:
    shared = nn.BatchNorm2d(3)
    model = nn.ModuleDict({"a": nn.Sequential(shared), "b": shared})
    report = convert_batchnorm(model)
    assert len(report.replaced) == 1
    assert model["a"][0] is model["b"]
    revert(model, report)
    assert model["a"][0] is model["b"] is shared


def test_what_is_kept_and_why() -> None:
    model = nn.ModuleDict(
        {
            "one": nn.BatchNorm1d(3),
            "three": nn.BatchNorm3d(3),
            "frozen": torchvision.ops.FrozenBatchNorm2d(3),
            "sync": nn.SyncBatchNorm(3),
            "lazy": nn.LazyBatchNorm2d(),
            "untracked": nn.BatchNorm2d(3, track_running_stats=False),
            "done": UnifiedBatchNorm2d(3),
            "instance": nn.InstanceNorm2d(3),
        }
    )
    report = convert_batchnorm(model)
    assert not report.replaced
    assert report.kept == {
        "one": "BatchNorm1d is not a BatchNorm2d",
        "three": "BatchNorm3d is not a BatchNorm2d",
        "frozen": "FrozenBatchNorm2d is not a BatchNorm2d",
        "sync": "SyncBatchNorm is not a BatchNorm2d",
        "lazy": "LazyBatchNorm2d is not a BatchNorm2d",
        "untracked": "does not track running statistics",
    }
    assert "6 kept" not in str(report)
    assert "kept 6" in str(report)


def test_without_affine_step() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3, affine=False)).to(DEVICE)
    x = images(4, 3, 5, 5, dtype=torch.float32)
    expected = model(x)
    convert_batchnorm(model, **PLAIN)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [name for name in NORM_NAMES if name != "sabn"])
def test_families(norm: str) -> None:
    model = small_model()
    report = convert_batchnorm(model, norm=norm)
    expected = type(make_norm(norm, 6))
    assert type(model[1]) is type(model[2][1]) is expected
    assert len(report.replaced) == (0 if norm == "bn" else 2)
    model(noise(5, 3, 8, 8)).sum().backward()


def test_synchronized() -> None:
    model = small_model()
    momentum = model[2][1].momentum
    convert_batchnorm(model, synchronized=True, threshold=0.3)
    assert type(model[1]) is type(model[2][1]) is SynchronizedUnifiedBatchNorm2d
    assert (model[2][1].momentum, model[2][1].threshold, model[2][1].process_group) == (momentum, 0.3, None)
    model(noise(5, 3, 8, 8)).sum().backward()


def test_gates_that_stay_local() -> None:
    model = small_model()
    convert_batchnorm(model, local=True)
    assert model[1].local
    assert model[2][1].local


def test_mistakes_change_nothing() -> None:
    for arguments in ({"norm": "mn"}, {"norm": "sabn"}, {"norm": "gn", "synchronized": True}):
        model = small_model()
        with pytest.raises(ValueError, match=r"norm|sabn"):
            convert_batchnorm(model, **arguments)
        assert counts(model) == {"BatchNorm2d": 2, "UnifiedBatchNorm2d": 0}
    with pytest.raises(TypeError, match="treshold"):
        convert_batchnorm(model, treshold=0.2)
    assert counts(model) == {"BatchNorm2d": 2, "UnifiedBatchNorm2d": 0}
    with pytest.raises(ValueError, match="wrap it"):
        convert_batchnorm(nn.BatchNorm2d(3))


def test_an_optimizer_made_before_is_warned_about() -> None:
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match="SGD was made before the conversion"):
        convert_batchnorm(model)
    del optimizer
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert_batchnorm(small_model())


@pytest.mark.parametrize("affine", ["pointwise", "depthwise"])
def test_revert(affine: str) -> None:
    model = small_model()
    original, twin = model[1], copy.deepcopy(model)
    x = noise(5, 3, 8, 8)
    report = convert_batchnorm(model, affine=affine, **PLAIN)
    revert(model, report)
    assert model[1] is original
    torch.testing.assert_close(model.eval()(x), twin.eval()(x))
    report = convert_batchnorm(model.train(), affine=affine, **PLAIN)
    model(x)
    learned = model.eval()(x)
    revert(model, report)
    torch.testing.assert_close(model(x), learned, rtol=1e-4, atol=1e-5)
    assert not model.training


@pytest.mark.parametrize(
    "name",
    [
        name if name in FAMILIES.values() else pytest.param(name, marks=pytest.mark.slow)
        for name in CLASSIFIERS
    ],
)
def test_every_classifier_of_torchvision(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Structure only, without memory: every BatchNorm2d goes, and comes back."""
    shape_of = regnet.BlockParams.from_init_params

    def shape_in_memory(**arguments: object) -> regnet.BlockParams:
        # RegNets read their widths off a tensor, which "meta" has no values for.
        with torch.device("cpu"):
            return shape_of(**arguments)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", shape_in_memory)
    with torch.device("meta"):
        model = torchvision.models.get_model(name, **no_auxiliary_initialization(name))
    before = counts(model)
    report = convert_batchnorm(model)
    assert len(report.replaced) == before["BatchNorm2d"]
    assert counts(model) == {"BatchNorm2d": 0, "UnifiedBatchNorm2d": before["BatchNorm2d"]}
    assert not any("BatchNorm" in reason for reason in report.kept.values())
    revert(model, report)
    assert counts(model) == before


def no_auxiliary_initialization(name: str) -> dict[str, bool]:
    return {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_classifiers_train(name: str) -> None:
    model = torchvision.models.get_model(name).to(DEVICE)
    convert_batchnorm(model)
    model(noise(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_of_torchvision(name: str) -> None:
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    before = counts(model)["BatchNorm2d"]
    report = convert_batchnorm(model)
    assert len(report.replaced) == before
    assert counts(model)["BatchNorm2d"] == 0


def test_frozen_layers_of_a_detector_stay() -> None:
    backbone = torchvision.models.resnet18(norm_layer=torchvision.ops.FrozenBatchNorm2d)
    report = convert_batchnorm(backbone)
    assert not report.replaced
    assert set(report.kept.values()) == {"FrozenBatchNorm2d is not a BatchNorm2d"}
    assert len(report.kept) == 20


def shake(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, UnifiedBatchNorm2d | nn.BatchNorm2d):
                for value in (*module.parameters(), module.running_mean):
                    value += 0.2 * torch.randn(value.shape, generator=generator).to(value.device)
                var = module.running_var
                var *= 0.5 + torch.rand(var.shape, generator=generator).to(var.device)
    return model.eval()


@pytest.mark.parametrize("affine", [None, "pointwise", "depthwise"])
def test_folding_keeps_the_outputs(affine: str | None) -> None:
    model = small_model()
    convert_batchnorm(model, affine=affine, **PLAIN)
    shake(model)
    x = noise(5, 3, 8, 8)
    expected = model(x)
    report = fold_batchnorm(model)
    assert set(report.folded + report.shortened) == {"1", "2.1"}
    assert not any(isinstance(m, UnifiedBatchNorm2d) for m in model.modules())
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("affine", ["pointwise", "depthwise"])
def test_folding_a_resnet(affine: str) -> None:
    torch.manual_seed(0)
    model = torchvision.models.resnet18().to(DEVICE)
    convert_batchnorm(model, affine=affine, **PLAIN)
    shake(model)
    x = noise(2, 3, 64, 64)
    expected = model(x)
    report = fold_batchnorm(model)
    assert len(report.folded + report.shortened) == 20
    torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-3)


def test_what_cannot_be_folded_says_so() -> None:
    model = small_model()
    convert_batchnorm(model, filter="^1$")
    model.append(nn.BatchNorm1d(6).to(DEVICE))
    shake(model)
    x = noise(5, 3, 8, 8)
    expected = model(x)
    report = fold_batchnorm(model)
    assert report.folded == ("2.1",)
    assert report.kept == {"1": "centering and scaling depend on each sample and cannot be folded"}
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


class Shared(nn.Module):
    """A convolution whose output is used twice, and one that no graph can be traced of."""

    def __init__(self, *, traceable: bool) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
        self.body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.traceable = traceable

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.convolution(x)
        if not self.traceable and hidden.sum() > 1e9:
            return hidden
        return self.body(self.norm(hidden) + hidden)


@pytest.mark.parametrize("traceable", [True, False])
def test_a_convolution_with_two_users_is_left_alone(traceable: bool) -> None:
    model = shake(Shared(traceable=traceable).to(DEVICE))
    x = noise(2, 3, 8, 8)
    expected = model(x)
    report = fold_batchnorm(model)
    assert report.folded == ("body.1",)
    assert report.kept == {"norm": "no convolution of its own directly before it"}
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


def test_folding_is_for_inference() -> None:
    with pytest.raises(ValueError, match="eval"):
        fold_batchnorm(small_model().train())
