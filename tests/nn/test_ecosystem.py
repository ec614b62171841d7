"""Tools that look for batch normalization find these layers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from tests.nn.builders import DEVICE, images
from ubn_sweep.nn import NORM_NAMES, convert_batchnorm, norm_parameters, recalibrate


def model_with(norm: str, **options: object) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten())
    convert_batchnorm(model.to(DEVICE), norm, **options)
    return model


def batches() -> list[Tensor]:
    return [images(6, 3, 8, 8, seed=seed, dtype=torch.float32) for seed in range(4)]


def statistics(model: nn.Module) -> list[Tensor]:
    return [model[1].running_mean, model[1].running_var]


@pytest.mark.parametrize("averaged", [False, True])
def test_update_bn_finds_the_layers(averaged: bool) -> None:
    """As it finds BN's, in an averaged model too."""
    found = []
    for norm, options in (("bn", {}), ("ubn", {"threshold": None})):
        model = model_with(norm, **options)
        if averaged:
            model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        update_bn(batches(), model)
        layer = (model.module if averaged else model)[1]
        assert layer.momentum == 0.1
        found.append([layer.running_mean, layer.running_var, layer.num_batches_tracked])
    torch.testing.assert_close(found[0], found[1])


def test_recalibration_opens_the_gates_and_leaves_them_as_they_were() -> None:
    expected = model_with("bn")
    update_bn(batches(), expected)
    model = model_with("ubn", threshold=0.9)
    model(batches()[0] + 3)
    model(batches()[1])
    similarity, gate_open = model[1].running_similarity.clone(), model[1].gate_open
    model.eval()
    recalibrate(model, [(x, "labels") for x in batches()])
    torch.testing.assert_close(statistics(model), statistics(expected))
    assert not model.training
    assert (model[1].threshold, model[1].gate_open) == (0.9, gate_open)
    assert torch.equal(model[1].running_similarity, similarity)


def test_frozen_statistics_stay() -> None:
    model = model_with("ubn")
    for x in batches()[:2]:
        model(x)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    before = copy.deepcopy(model[1].state_dict())
    model(batches()[2]).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in model[1].state_dict().items())
    assert model[1].weight.grad is not None


@pytest.mark.parametrize("affine", ["pointwise", "depthwise"])
def test_nothing_puts_synchronized_bn_in_their_place(affine: str) -> None:
    with pytest.raises(AttributeError, match="track_running_stats"):
        nn.SyncBatchNorm.convert_sync_batchnorm(model_with("ubn", affine=affine))


@pytest.mark.parametrize("norm", [name for name in NORM_NAMES if name != "sabn"])
def test_parameters_of_normalization(norm: str) -> None:
    model = model_with(norm)
    ours = {id(p) for p in norm_parameters(model)}
    assert ours == {id(p) for p in model[1].parameters()} != set()
    assert len(norm_parameters(nn.Sequential(model, model[1]))) == len(ours)


@pytest.mark.parametrize("norm", ["rbn", "iebn", "bnet", "ubn"])
def test_a_split_by_class_finds_them(norm: str) -> None:
    """The idiom of torchvision's training scripts."""
    model = model_with(norm)
    without_decay = [
        p for m in model.modules() if isinstance(m, _BatchNorm) for p in m.parameters(recurse=False)
    ]
    assert {id(p) for p in without_decay} == {id(p) for p in norm_parameters(model)}
