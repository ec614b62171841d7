"""One collective for all gates of a model and step, in place of one per layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ubn_sweep.nn.collectives import world_size
from ubn_sweep.nn.gate import is_unseen
from ubn_sweep.nn.layers import GatedBatchNorm2d, condensation

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class GateExchange:
    """Lets the gates of a model decide by the similarities of all steps before, and exchanges these at a step's end.

        exchange = GateExchange(model)
        for x, labels in batches:
            loss(model(x), labels).backward()
            optimizer.step()
            exchange.step()                     one all-reduce of two numbers per layer

    A gate that counts the very batch it decides on cannot wait for the step's end: each layer's input depends on the
    decisions before it. This gate therefore reads s a step later than UnifiedBatchNorm2d's formula; s itself moves as
    there, by the mean over processes (and micro-batches) of their similarities. Before the first exchange all gates are
    open. Where a sample is not finite s does not move, and the process that met it does not accept the batch.

    Args:
        model: Its layers with a gate take part; those that are local, or synchronized, decide as ever.
        process_group: Whose gates decide alike; None means everyone's.
    """

    def __init__(self, model: nn.Module, process_group: ProcessGroup | None = None) -> None:
        self.process_group = process_group
        self.layers = [layer for _, layer in condensation(model) if layer.can_defer]
        for layer in self.layers:
            layer.deferred = _nothing(layer)

    @torch.no_grad()
    def step(self) -> None:
        """Moves the running similarities by what was seen since the last call; all processes must call it."""
        if not self.layers:
            return
        seen = torch.stack([_taken(layer) for layer in self.layers])
        if world_size(self.process_group) > 1:
            torch.distributed.all_reduce(seen, group=self.process_group)
        total, count = seen.unbind(1)
        s = torch.stack([layer.running_similarity.to(seen.dtype) for layer in self.layers])
        momentum = s.new_tensor([layer.similarity_momentum for layer in self.layers])
        observed = total / count
        moved = torch.where(is_unseen(s), observed, torch.lerp(s, observed, momentum)) + 0.0
        s = torch.where((count > 0) & observed.isfinite(), moved, s)
        for layer, value in zip(self.layers, s.unbind(), strict=True):
            layer.running_similarity.copy_(value)

    def close(self) -> None:
        """From here on the gates decide as without an exchange."""
        for layer in self.layers:
            layer.deferred = None
        self.layers = []


def _nothing(layer: GatedBatchNorm2d) -> Tensor:
    return torch.zeros(2, dtype=torch.float64, device=layer.running_mean.device)


def _taken(layer: GatedBatchNorm2d) -> Tensor:
    """The sum of a layer's similarities and their number, (2,); the layer starts anew."""
    assert layer.deferred is not None
    seen, layer.deferred = layer.deferred, _nothing(layer)
    return seen
