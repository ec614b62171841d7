"""The shapes that the functions' annotations state hold: every annotated argument and result of a real run."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType, UnionType
from typing import Any

import jaxtyping
import pytest
import torch

from tests.nn.builders import ROWS, condition_for, images, shaken_layer
from ubn_sweep.nn import functional, gate, kernels
from ubn_sweep.nn.kernels import plain, settling

NAMES = {"Float": jaxtyping.Float, "Bool": jaxtyping.Bool, "Tensor": torch.Tensor, "Callable": Callable}


def annotated(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and "Float[" in str(function.__annotations__):
            yield name, function


def holds(value: Any, kind: Any) -> bool:
    if isinstance(kind, UnionType) or typing.get_origin(kind) is typing.Union:
        return any(holds(value, one) for one in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return all(holds(v, k) for v, k in zip(value, typing.get_args(kind), strict=True))
    return not isinstance(kind, type) or isinstance(value, kind)


def checked(function: FunctionType, calls: list[str]) -> Callable[..., Any]:
    kinds = {
        name: eval(text, {**vars(inspect.getmodule(function)), **NAMES})
        for name, text in function.__annotations__.items()
        if "Float[" in text or "Bool[" in text
    }

    @functools.wraps(function)
    def call(*arguments: Any, **more: Any) -> Any:
        calls.append(function.__name__)
        given = inspect.signature(function).bind(*arguments, **more).arguments
        with jaxtyping.jaxtyped("context"):
            for name, value in given.items():
                assert holds(value, kinds.get(name)), f"{function.__name__}: {name}"
            result = function(*arguments, **more)
            assert holds(result, kinds.get("return")), f"{function.__name__}: the result"
        return result

    return call


@pytest.mark.parametrize("name", ROWS)
def test_stated_shapes_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(kernels, "_cpu", lambda: None)
    monkeypatch.setattr(kernels, "_cuda", lambda: None)
    for module in (functional, gate, plain, settling):
        for function_name, function in annotated(module):
            monkeypatch.setattr(module, function_name, checked(function, calls))
    for layout in ("contiguous", "channels_last"):
        layer = shaken_layer(3, name=name, gate="open")
        x = images(5, 3, 4, 6, layout=layout, dtype=torch.float32).requires_grad_()
        layer(x, *condition_for(layer, 5)).square().sum().backward()
    assert {"unified_batch_norm", "moments", "reduce", "combine", "sum_of_directions"} <= set(calls)


def test_a_wrong_shape_is_noticed() -> None:
    with pytest.raises(AssertionError, match="batch_statistics: v"):
        checked(functional.batch_statistics, [])(torch.zeros(3, 4), torch.zeros(3, 5), None)
