"""Arguments: a wrong type is refused as a wrong value is, and what is right in another guise is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ubn_sweep.nn import (
    NORM_NAMES,
    SandwichBatchNorm2d,
    SynchronizedSandwichBatchNorm2d,
    SynchronizedUnifiedBatchNorm2d,
    UnifiedBatchNorm2d,
    convert_batchnorm,
    make_norm,
)

NAN, INFINITE = float("nan"), float("inf")
WRONG_SHARES = ("x", True, NAN, -0.1, 1.5, torch.tensor(0.1), [0.1])
SHARED: dict[str, tuple[Any, ...]] = {
    "num_features": (2.5, 4.0, 0, -1, True, "4", None, torch.tensor(4)),
    "eps": ("a", -1.0, NAN, INFINITE, True, None, torch.tensor(1e-5)),
    "momentum": WRONG_SHARES,
    "threshold": ("high", True, NAN, INFINITE, -INFINITE, torch.tensor(0.1), [0.1]),
    "similarity_momentum": (*WRONG_SHARES, None),
    "centering": (1, 0, None, "yes", torch.tensor(True)),
    "scaling": ("both", True, 1, ["instance"]),
    "process_group": ("all", 0, True, [0, 1]),
    "local": (1, None, "yes"),
}
UNIFIED: dict[str, tuple[Any, ...]] = {
    "affine": ("full", "sandwich", True, 1, ("pointwise",)),
    "kernel_size": (3.0, 2, 0, -1, True, "3", None, (3, 3)),
}
SANDWICH: dict[str, tuple[Any, ...]] = {"num_conditions": (2.5, 3.0, 0, -2, True, "3", None)}
OPTIONS = {
    UnifiedBatchNorm2d: SHARED | UNIFIED,
    SandwichBatchNorm2d: SHARED | SANDWICH,
    SynchronizedUnifiedBatchNorm2d: SHARED | UNIFIED,
    SynchronizedSandwichBatchNorm2d: SHARED | SANDWICH,
}


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        pytest.param(kind, option, value, id=f"{kind.__name__}, {option}={value!r}")
        for kind, options in OPTIONS.items()
        for option, values in options.items()
        for value in values
    ],
)
def test_a_wrong_argument_is_a_value_error(kind: type, option: str, value: object) -> None:
    conditions = {"num_conditions": 3} if issubclass(kind, SandwichBatchNorm2d) else {}
    with pytest.raises(ValueError, match=f"`{option} .*` must hold, but got"):
        kind(**{"num_features": 4, **conditions, option: value})


@pytest.mark.parametrize("groups", [2.0, 0, -4, True, "32", None, NAN])
def test_wrong_groups(groups: object) -> None:
    with pytest.raises(ValueError, match=r"`groups .*` must hold, but got"):
        make_norm("gn", 8, groups=groups)
    with pytest.raises(ValueError, match=r"`min_channels .*` must hold, but got"):
        make_norm("gn", 8, min_channels=groups)


@pytest.mark.parametrize("channels", [2.5, 0, True, "8", None])
@pytest.mark.parametrize("name", [name for name in NORM_NAMES if name not in ("bn", "in")])
def test_wrong_channels(name: str, channels: Any) -> None:
    conditions = {"num_conditions": 3} if name == "sabn" else {}
    with pytest.raises(ValueError, match=r"`num_features .*` must hold, but got"):
        make_norm(name, channels, **conditions)


def test_numbers_of_numpy_are_numbers() -> None:
    layer = UnifiedBatchNorm2d(
        np.int64(4), eps=np.float32(1e-5), momentum=np.float64(0.1), threshold=0, kernel_size=np.int32(1)
    )
    layer(torch.ones(3, 4, 2, 2)).sum().backward()


def test_a_wrong_option_changes_nothing_in_a_model() -> None:
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(4), torch.nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match="threshold"):
        convert_batchnorm(model, threshold="high")
    assert all(type(layer) is torch.nn.BatchNorm2d for layer in model)


@pytest.mark.parametrize(
    "condition",
    [
        torch.tensor([0, 1]),
        torch.tensor(0),
        torch.tensor([[0, 1, 2]]),
        torch.tensor([0.0, 1.0, 2.0]),
        torch.tensor([False, True, True]),
        [0, 1, 2],
        None,
    ],
    ids=repr,
)
def test_a_condition_is_an_integer_for_each_sample(condition: Any) -> None:
    with pytest.raises(ValueError, match=r"`condition .*` must hold, but got"):
        SandwichBatchNorm2d(4, 3)(torch.ones(3, 4, 2, 2), condition)
