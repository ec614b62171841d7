"""Sandwich batch normalization: its contract, and how condensation, folding and surgery treat it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.nn.builders import DEVICE, condition_for, images, shaken_layer
from ubn_sweep.nn import (
    SandwichBatchNorm2d,
    UnifiedBatchNorm2d,
    condensation,
    convert_batchnorm,
    fold_batchnorm,
    make_norm,
)


def sandwich(**options: object) -> SandwichBatchNorm2d:
    layer = shaken_layer(4, name="sabn", dtype=torch.float64, **options)
    assert isinstance(layer, SandwichBatchNorm2d)
    return layer


def test_the_contract_of_names_and_shapes() -> None:
    layer = SandwichBatchNorm2d(6, num_conditions=3)
    parameters = {"weight": (6,), "bias": (6,), "condition_weight": (3, 6), "condition_bias": (3, 6)}
    assert {n: tuple(p.shape) for n, p in layer.named_parameters()} == parameters
    statistics = {
        "running_mean": (6,),
        "running_var": (6,),
        "running_similarity": (),
        "num_batches_tracked": (),
    }
    assert {n: tuple(b.shape) for n, b in layer.named_buffers()} == statistics
    # In the order that an optimizer's state has.
    full = SandwichBatchNorm2d(6, 3, centering=True, scaling="instance")
    assert list(full.state_dict()) == [
        "center_weight",
        "scale_weight",
        "scale_bias",
        *parameters,
        *statistics,
    ]


def test_starting_values() -> None:
    torch.manual_seed(0)
    layer = SandwichBatchNorm2d(300, 40)
    assert layer.weight.eq(1).all()
    assert layer.bias.eq(0).all()
    assert layer.condition_bias.eq(0).all()
    assert layer.condition_weight.mean().item() == pytest.approx(1.0, abs=1e-3)
    assert layer.condition_weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_the_name_makes_it() -> None:
    layer = make_norm("sabn", 4, num_conditions=2)
    assert type(layer) is SandwichBatchNorm2d
    assert (layer.threshold, layer.centering, layer.scaling) == (None, False, None)
    with pytest.raises(TypeError, match="num_conditions"):
        make_norm("sabn", 4)


def test_each_sample_has_its_conditions_affine_step() -> None:
    """With one condition for all samples it is BN, then that condition's affine step."""
    layer = sandwich()
    plain = nn.BatchNorm2d(4, device=DEVICE, dtype=torch.float64)
    x = images(5, 4, 3, 3)
    with torch.no_grad():
        plain.weight.copy_(layer.weight)
        plain.bias.copy_(layer.bias)
    for dtype in (torch.int64, torch.int32):
        for i in range(3):
            weight, bias = (p[i].view(1, -1, 1, 1) for p in (layer.condition_weight, layer.condition_bias))
            condition = torch.full((5,), i, dtype=dtype, device=DEVICE)
            torch.testing.assert_close(layer(x, condition), plain(x) * weight + bias)


def test_a_condition_that_there_is_not() -> None:
    layer = SandwichBatchNorm2d(4, 3)
    with pytest.raises(IndexError):
        layer(torch.ones(3, 4, 2, 2), torch.tensor([0, 1, 3]))


def test_conditions_belong_to_the_sandwich() -> None:
    x, condition = torch.ones(2, 4, 3, 3), torch.tensor([0, 1])
    with pytest.raises(TypeError, match="argument"):
        UnifiedBatchNorm2d(4)(x, condition)
    with pytest.raises(TypeError, match="condition"):
        SandwichBatchNorm2d(4, 2)(x)
    with pytest.raises(TypeError, match="num_conditions"):
        UnifiedBatchNorm2d(4, num_conditions=2)  # type: ignore[call-arg]


def test_its_gate_is_seen() -> None:
    model = nn.ModuleDict(
        {"open": sandwich(gate="open"), "closed": sandwich(gate="closed"), "off": sandwich()}
    )
    x = images(5, 4, 3, 3)
    for layer in model.values():
        layer(x, *condition_for(layer, 5))
    assert {name: bool(layer.gate_open) for name, layer in condensation(model)} == {
        "open": True,
        "closed": False,
    }


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "a condition is known only when the layer is called"),
        ({"centering": True}, "centering and scaling depend on each sample and cannot be folded"),
    ],
    ids=["plain", "centering"],
)
def test_folding_keeps_it_and_says_why(options: dict, reason: str) -> None:
    model = nn.ModuleDict({"convolution": nn.Conv2d(4, 4, 1), "norm": sandwich(**options)}).eval()
    report = fold_batchnorm(model)
    assert report.kept == {"norm": reason}
    assert isinstance(model["norm"], SandwichBatchNorm2d)


def test_surgery_leaves_it_alone() -> None:
    layer = sandwich()
    model = nn.ModuleDict({"sandwich": layer, "bn": nn.BatchNorm2d(4)})
    report = convert_batchnorm(model)
    assert [pair.name for pair in report.replaced] == ["bn"]
    assert not report.kept
    assert model["sandwich"] is layer
