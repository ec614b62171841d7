"""From a batch's moments to the statistics that normalize it, and the state that it moves: plain PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ubn_sweep.nn.gate import decide
from ubn_sweep.nn.kernels.interface import GateOptions, GateState, Statistics

if TYPE_CHECKING:
    from ubn_sweep.nn.shapes import Bool, Float


def batch_statistics(
    m: Float[Tensor, "N C"], v: Float[Tensor, "N C"], w_m: Float[Tensor, " C"] | None
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Mean and biased variance over the batch of x_c = x + w_m * m, by the law of total variance:

    mean = (1 + w_m) * mean_n(m),    var = mean_n(v) + (1 + w_m)**2 * var_n(m)
    """
    mean = m.mean(0)
    between = (m - mean).square_().mean(0)
    within = v.mean(0)
    if w_m is None:
        return mean, within + between
    one_plus_w_m = w_m + 1
    return one_plus_w_m * mean, torch.addcmul(within, one_plus_w_m * one_plus_w_m, between)


def settle(
    m: Float[Tensor, "N C"],
    v: Float[Tensor, "N C"],
    similarity: Float[Tensor, ""] | None,
    w_m: Float[Tensor, " C"] | None,
    state: GateState,
    options: GateOptions,
    elements: float,
    decided: Bool[Tensor, ""] | None = None,
) -> tuple[Statistics, Bool[Tensor, ""]]:
    """The statistics to normalize with, and whether the gate is open; moves the state.

    similarity: None where the batch has no pair, or the gate is switched off.
    decided: what the gate was, where a forward pass is computed again; then no state moves.
    """
    return settle_with(*batch_statistics(m, v, w_m), similarity, state, options, elements, decided)


def settle_with(
    mean: Float[Tensor, " C"],
    var: Float[Tensor, " C"],
    similarity: Float[Tensor, ""] | None,
    state: GateState,
    options: GateOptions,
    elements: Tensor | float,
    decided: Bool[Tensor, ""] | None = None,
) -> tuple[Statistics, Bool[Tensor, ""]]:
    """As `settle`, from the batch's mean and biased variance."""
    if options.threshold is None:
        if decided is None:
            _accept(mean, var, elements, state, options.momentum, None)
        is_open = torch.ones_like(state.num_batches_tracked, dtype=torch.bool)
        return Statistics(mean, torch.rsqrt(var + options.eps), 1.0, elements), is_open
    if decided is not None:
        return _selected(decided, mean, var, state, options.eps, elements), decided
    gate = decide(
        similarity,
        var,
        state.running_similarity,
        state.num_batches_tracked,
        options.threshold,
        options.similarity_momentum,
    )
    statistics = _selected(gate.open, mean, var, state, options.eps, elements)
    state.running_similarity.copy_(gate.similarity)
    _accept(mean, var, elements, state, options.momentum, gate.accept)
    return statistics, gate.open


def _selected(
    is_open: Tensor, mean: Tensor, var: Tensor, state: GateState, eps: float, elements: Tensor | float
) -> Statistics:
    """The batch's statistics where the gate is open, else the running ones."""
    mean = torch.where(is_open, mean, state.running_mean.to(mean.dtype))
    var = torch.where(is_open, var, state.running_var.to(var.dtype))
    return Statistics(mean, torch.rsqrt(var + eps), is_open.to(mean.dtype), elements)


def _accept(
    mean: Tensor,
    var: Tensor,
    elements: Tensor | float,
    state: GateState,
    momentum: float | None,
    accept: Tensor | None,
) -> None:
    """Moves the running statistics by the batch's, where it is accepted."""
    state.num_batches_tracked.add_(1 if accept is None else accept)
    unbiased = var * (elements / (elements - 1))
    count = state.num_batches_tracked.to(mean.dtype).clamp(min=1)
    factor = count.reciprocal() if momentum is None else momentum
    for running, observed in ((state.running_mean, mean), (state.running_var, unbiased)):
        old = running.to(observed.dtype)
        moved = torch.lerp(old, observed, factor)
        running.copy_(moved if accept is None else torch.where(accept, moved, old))
