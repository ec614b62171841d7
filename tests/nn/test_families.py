"""The list of layers by name: each row makes a layer, and says of it what is true."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest
import torch
from torch import nn

from tests.nn.builders import CONDITIONS, DEVICE, condition_for, images
from ubn_sweep.nn import NORM_NAMES, convert_batchnorm, make_norm
from ubn_sweep.nn.families import FAMILIES
from ubn_sweep.training.config import NormConfig, NormName


def conditions(name: str) -> dict[str, int]:
    return {"num_conditions": CONDITIONS} if FAMILIES[name].needs_condition else {}


@pytest.mark.parametrize("name", NORM_NAMES)
def test_every_name_makes_a_layer(name: str) -> None:
    layer = make_norm(name, 12, **conditions(name), device=DEVICE)
    x = images(4, 12, 3, 3, dtype=torch.float32)
    assert layer(x, *condition_for(layer, 4)).shape == x.shape
    assert repr(layer)


@pytest.mark.parametrize("name", NORM_NAMES)
def test_every_row_says_what_is_true_of_its_layer(name: str) -> None:
    layer, row = make_norm(name, 12, **conditions(name)), FAMILIES[name]
    assert row.running_statistics == (getattr(layer, "running_mean", None) is not None)
    assert row.needs_condition == ("condition" in inspect.signature(layer.forward).parameters)
    if row.synchronized is None:
        with pytest.raises(ValueError, match="synchronized"):
            make_norm(name, 12, synchronized=True)
    else:
        shared = make_norm(name, 12, **conditions(name), synchronized=True)
        assert isinstance(shared, type(layer))
        assert hasattr(shared, "process_group")
        assert repr(shared).removeprefix("Synchronized") == repr(layer)


@pytest.mark.parametrize("name", [name for name in NORM_NAMES if FAMILIES[name].running_statistics])
def test_momentum_moves_the_running_statistics(name: str) -> None:
    layer = make_norm(name, 3, **conditions(name), momentum=1.0, device=DEVICE)
    x = images(4, 3, 5, 5, dtype=torch.float32)
    layer(x, *condition_for(layer, 4))
    torch.testing.assert_close(layer.running_mean, x.mean((0, 2, 3)))


def test_a_config_may_name_what_takes_batch_norms_place() -> None:
    assert set(get_args(NormName)) == {name for name, row in FAMILIES.items() if not row.needs_condition}


@pytest.mark.parametrize("name", get_args(NormName))
def test_a_config_has_a_momentum_where_it_moves_something(name: NormName) -> None:
    row, config = FAMILIES[name], NormConfig(name=name)
    assert (config.momentum is not None) == row.running_statistics
    model = nn.Sequential(nn.BatchNorm2d(4, momentum=0.3))
    convert_batchnorm(model, name)
    if row.running_statistics:
        assert model[0].momentum == 0.3


def test_group_norm_takes_what_divides() -> None:
    groups = {C: make_norm("gn", C).num_groups for C in (3, 8, 16, 48, 64, 256, 2048)}
    assert groups == {3: 1, 8: 2, 16: 4, 48: 12, 64: 16, 256: 32, 2048: 32}
    assert make_norm("gn", 64, groups=16).num_groups == 16
    assert make_norm("gn", 48, min_channels=2).num_groups == 24


def test_an_option_that_the_layer_does_not_have() -> None:
    for name in ("bn", "in", "rbn", "ubn"):
        with pytest.raises(TypeError, match="groups"):
            make_norm(name, 4, groups=2)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="choose one of bn, in, gn"):
        make_norm("mn", 4)


def test_layer_norm_normalizes_each_sample_over_all_its_channels() -> None:
    layer = make_norm("ln", 6, device=DEVICE)
    x = images(4, 6, 5, 5, dtype=torch.float32) * 3 + 1
    expected = nn.functional.layer_norm(x, x.shape[1:])
    torch.testing.assert_close(layer(x), expected)
