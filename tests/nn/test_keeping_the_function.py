"""Conversion of trained networks: what they compute in evaluation stays, for every layer that can compute it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from tests.nn.builders import DEVICE
from ubn_sweep.nn import NORM_NAMES, UnifiedBatchNorm2d, convert_batchnorm, revert
from ubn_sweep.nn.families import FAMILIES

KEEPING = [name for name in NORM_NAMES if FAMILIES[name].running_statistics and name != "sabn"]
OPTIONS: list[dict[str, Any]] = [
    {"scaling": scaling, "affine": affine, "centering": centering}
    for scaling in (None, "representative", "instance")
    for affine in ("pointwise", "depthwise")
    for centering in (False, True)
]


def noise(*shape: int, seed: int = 5) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def trained(make: Callable[[], nn.Module], shape: tuple[int, ...] = (6, 3, 16, 16)) -> nn.Module:
    """A few steps, so that weights and statistics are their own."""
    torch.manual_seed(0)
    model = make().to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for seed in range(4):
        optimizer.zero_grad()
        model(noise(*shape, seed=seed)).square().mean().backward()
        optimizer.step()
    return model


class NormAct2d(nn.BatchNorm2d):
    """As timm's BatchNormAct2d: dropout and activation are the layer's own."""

    def __init__(self, num_features: int, *, drop: float = 0.0) -> None:
        super().__init__(num_features)
        self.drop = nn.Dropout2d(drop) if drop else nn.Identity()
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._check_input_dim(x)
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        x = F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        return self.act(self.drop(x))


class Renamed(nn.BatchNorm2d):
    """A subclass that computes what BatchNorm2d does."""


class ShiftedNorm2d(nn.BatchNorm2d):
    """A subclass that computes something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 0.1


def small(norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3), norm(6), nn.ReLU(), nn.Conv2d(6, 4, 3), norm(4), nn.Flatten())


def assert_same_function(model: nn.Module, before: nn.Module, x: torch.Tensor) -> None:
    torch.testing.assert_close(model.eval()(x), before.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", KEEPING)
def test_every_family_keeps_the_function_of_a_trained_network(norm: str) -> None:
    model = trained(torchvision.models.resnet18, (4, 3, 32, 32))
    before = copy.deepcopy(model)
    report = convert_batchnorm(model, norm)
    assert len(report.replaced) == (0 if norm == "bn" else 20)
    assert_same_function(model, before, noise(3, 3, 32, 32))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_rectifier_keeps_the_function(options: dict[str, Any]) -> None:
    model = trained(small)
    before = copy.deepcopy(model)
    convert_batchnorm(model, **options)
    assert_same_function(model, before, noise(3, 3, 16, 16))
    model.train()(noise(3, 3, 16, 16)).sum().backward()
    gradients = [p.grad for p in model[1].parameters()]
    assert all(g is not None and g.abs().sum() > 0 for g in gradients)


def test_bn_without_an_affine_step() -> None:
    model = trained(lambda: small(lambda C: nn.BatchNorm2d(C, affine=False)))
    before = copy.deepcopy(model)
    convert_batchnorm(model)
    assert_same_function(model, before, noise(3, 3, 16, 16))


@pytest.mark.parametrize("options", [{"affine": "pointwise"}, {"affine": "depthwise"}], ids=str)
def test_reverting_keeps_it_too(options: dict[str, Any]) -> None:
    model = trained(small)
    before = copy.deepcopy(model)
    revert(model, convert_batchnorm(model, **options))
    assert_same_function(model, before, noise(3, 3, 16, 16))


def test_a_fresh_network_starts_as_the_paper_says() -> None:
    model = small()
    weight = model[1].weight
    convert_batchnorm(model, affine="pointwise")
    assert model[1].weight is weight
    for name, value in UnifiedBatchNorm2d(6, affine="pointwise").state_dict().items():
        assert torch.equal(model[1].state_dict()[name], value)


def test_who_asks_decides() -> None:
    fresh = small()
    before = copy.deepcopy(fresh)
    convert_batchnorm(fresh, keep_function=True)
    assert_same_function(fresh, before, noise(3, 3, 16, 16))
    model = trained(small)
    weight = model[1].weight.detach().clone()
    convert_batchnorm(model, keep_function=False, affine="pointwise")
    assert torch.equal(model[1].weight, weight)


def test_statistics_from_before_batches_were_counted_are_seen() -> None:
    model = trained(small)
    before = copy.deepcopy(model)
    for layer in (model[1], model[4]):
        layer.num_batches_tracked.zero_()
    convert_batchnorm(model)
    assert_same_function(model, before, noise(3, 3, 16, 16))


@pytest.mark.parametrize("filter", [None, "^1$"])
def test_a_weight_that_two_layers_hold_is_divided_once(filter: str | None) -> None:
    def tied() -> nn.Module:
        model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3), nn.BatchNorm2d(6))
        model[3].weight = model[1].weight
        return model

    model = trained(tied)
    before = copy.deepcopy(model)
    report = convert_batchnorm(model, affine="pointwise", filter=filter)
    assert_same_function(model, before, noise(3, 3, 16, 16))
    revert(model, report)
    assert_same_function(model, before, noise(3, 3, 16, 16))


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"norm": "gn"}, "gn has no running statistics"),
        ({"affine": None}, "no place for BN's weights"),
    ],
    ids=str,
)
def test_what_cannot_keep_the_function_says_so(arguments: dict[str, Any], rule: str) -> None:
    model = small()
    with pytest.raises(ValueError, match=rule):
        convert_batchnorm(model, keep_function=True, **arguments)
    with pytest.raises(ValueError, match="`keep_function is True, False or None` must hold, but got 'yes'"):
        convert_batchnorm(model, keep_function="yes")  # type: ignore[arg-type]
    assert isinstance(model[1], nn.BatchNorm2d)


@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_a_subclass_keeps_its_activation_and_its_dropout(drop: float) -> None:
    model = trained(lambda: small(lambda C: NormAct2d(C, drop=drop)))
    before = copy.deepcopy(model)
    calls: list[int] = []
    model[1].register_forward_hook(lambda *arguments: calls.append(1))
    activation, generator_state = model[1].act, torch.get_rng_state()
    report = convert_batchnorm(model)
    assert torch.equal(torch.get_rng_state(), generator_state)
    assert [pair.name for pair in report.replaced] == ["1", "4"]
    assert isinstance(model[1].norm, UnifiedBatchNorm2d)
    assert model[1].act is activation
    assert_same_function(model, before, noise(3, 3, 16, 16))
    assert calls == [1]
    assert model.train()[1].drop.training
    revert(model, report)
    assert isinstance(model[1], NormAct2d)
    assert_same_function(model, before, noise(3, 3, 16, 16))


def test_a_subclass_that_computes_the_same_is_replaced_and_another_stays() -> None:
    model = nn.Sequential(Renamed(3), ShiftedNorm2d(3), NormAct2d(3))
    with torch.device("meta"):
        without_values = nn.Sequential(Renamed(3), ShiftedNorm2d(3), NormAct2d(3))
    for each in (model, without_values):
        report = convert_batchnorm(each)
        assert [pair.name for pair in report.replaced] == ["0", "2"]
        assert report.kept == {"1": "ShiftedNorm2d computes more than BatchNorm2d and then its children"}
        assert type(each[0]) is UnifiedBatchNorm2d
    with pytest.raises(ValueError, match="wrap it"):
        convert_batchnorm(NormAct2d(3))
