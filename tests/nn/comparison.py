"""A layer against the literal reference: everything that a training step yields or moves."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.nn.builders import condition_for
from tests.nn.reference import State, reference, state_of
from ubn_sweep.nn.layers import GatedBatchNorm2d


def assert_equal_to_reference(
    layer: GatedBatchNorm2d, x: Tensor, *, rtol: float = 1e-9, atol: float = 1e-9
) -> State:
    """Output, input gradient, every parameter's gradient and the state after it, from one random cotangent."""
    condition = condition_for(layer, x.shape[0])
    state = state_of(layer)
    parameters = {n: p.detach().double().requires_grad_() for n, p in layer.named_parameters()}
    exact_x = x.detach().double().contiguous().requires_grad_()
    expected = reference(layer, exact_x, parameters, state, *condition)
    generator = torch.Generator().manual_seed(7)
    cotangent = torch.randn(expected.shape, generator=generator, dtype=torch.float64).to(x.device)
    expected.backward(cotangent)
    x = x.detach().requires_grad_()
    layer.zero_grad()
    y = layer(x, *condition)
    y.backward(cotangent.to(y.dtype))

    def close(actual: Tensor, wanted: Tensor, what: str) -> None:
        scale = max(1.0, wanted.abs().max().item())
        torch.testing.assert_close(
            actual.double(), wanted, rtol=rtol, atol=atol * scale, msg=lambda m: f"{what}: {m}"
        )

    close(y, expected, "y")
    assert exact_x.grad is not None
    assert x.grad is not None
    close(x.grad, exact_x.grad, "x.grad")
    for name, parameter in layer.named_parameters():
        wanted = parameters[name].grad
        assert parameter.grad is not None
        close(
            parameter.grad, torch.zeros_like(parameters[name]) if wanted is None else wanted, f"{name}.grad"
        )
    close(layer.running_mean, state.mean, "running_mean")
    close(layer.running_var, state.var, "running_var")
    if state.similarity is not None:
        close(layer.running_similarity, state.similarity, "running_similarity")
    assert int(layer.num_batches_tracked) == state.accepted
    if layer.training:
        assert bool(layer.gate_open) == state.open
    return state
