"""Whether the fast kernels compute what the plain ones do, on the device at hand, before their time is measured."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor, nn

from ubn_sweep.nn import autograd, functional, make_norm
from ubn_sweep.nn.kernels import kernels_for, plain
from ubn_sweep.nn.kernels.interface import Kernels
from ubn_sweep.nn.layers import gated

SHAPES = ((8, 64, 32, 32), (16, 256, 7, 7), (4, 48, 15, 17), (2, 64, 56, 56))
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
"""Of |difference| / |wanted|, over a whole tensor. The wanted one is computed in float32 from the same input."""


@contextmanager
def using(kernels: Kernels) -> Iterator[None]:
    """Whatever the tensors, these kernels."""
    with (
        patch.object(autograd, "kernels_for", lambda *_: kernels),
        patch.object(functional, "kernels_for", lambda *_: kernels),
        patch.object(gated, "kernels_for", lambda *_: kernels),
    ):
        yield


def _results(layer: nn.Module, x: Tensor, gy: Tensor) -> dict[str, Tensor]:
    x = x.detach().requires_grad_()
    y = layer(x)
    y.backward(gy)
    assert x.grad is not None
    found = {"y": y.detach(), "x.grad": x.grad, **dict(layer.named_buffers())}
    return found | {f"{n}.grad": p.grad for n, p in layer.named_parameters() if p.grad is not None}


def _shaken(name: str, channels: int, device: str) -> nn.Module:
    torch.manual_seed(0)
    layer = make_norm(name, channels)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return layer.to(device)


def largest_disagreement(device: str) -> tuple[float, list[str]]:
    """(the largest error in units of its tolerance, all that exceed it)."""
    largest, wrong = 0.0, []
    for shape in SHAPES:
        for dtype, tolerance in TOLERANCE.items():
            for layout in (torch.channels_last, torch.contiguous_format):
                for name in ("ubn", "rbn", "iebn"):
                    torch.manual_seed(1)
                    x, gy = (torch.randn(shape, dtype=dtype).to(device) for _ in range(2))
                    x = (x + 0.5).contiguous(memory_format=layout)
                    gy = gy.contiguous(memory_format=layout)
                    layer = _shaken(name, shape[1], device)
                    reference = copy.deepcopy(layer)
                    with using(kernels_for(x)):
                        found = _results(layer, x, gy)
                    with using(plain):
                        wanted = _results(reference, x.float(), gy.float())
                    for key, value in wanted.items():
                        size = value.double().norm().clamp(min=1e-6)
                        error = (found[key].double() - value.double()).norm() / size
                        units = float(error) / tolerance
                        largest = max(largest, units)
                        if not units <= 1:
                            wrong.append(f"{key} of {name} {shape} {dtype} {layout}: {float(error):.1e}")
    return largest, wrong


def check(device: str) -> None:
    """Exits where the kernels disagree; no figure is worth its time then."""
    largest, wrong = largest_disagreement(device)
    if wrong:
        raise SystemExit("the kernels disagree with the plain ones:\n" + "\n".join(wrong))
    print(f"the kernels agree with the plain ones: at most {largest:.2f} of the tolerance", flush=True)
