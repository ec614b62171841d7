"""How condensed the features are: what the layers with a gate saw during an epoch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ubn_sweep.nn import condensation


class CondensationMeter:
    """Counts, on the device, the batches with which each layer's gate was open; one host read per epoch."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = dict(condensation(model))
        self._open: Tensor | None = None
        self._batches = 0

    def start_epoch(self) -> None:
        self._open, self._batches = None, 0

    def count_batch(self) -> None:
        """Call it after each training step."""
        if not self._layers:
            return
        now = torch.stack([layer.gate_open for layer in self._layers.values()]).float()
        self._open = now if self._open is None else self._open.add_(now)
        self._batches += 1

    def read(self) -> dict[str, float]:
        """similarity and gate_open, means over the layers, and similarity/<layer> and gate_open/<layer>."""
        if self._open is None:
            return {}
        similarity = torch.stack([layer.running_similarity for layer in self._layers.values()])
        rows = torch.stack([similarity.float(), self._open / self._batches]).tolist()
        metrics = {}
        for key, values in zip(("similarity", "gate_open"), rows, strict=True):
            metrics[key] = sum(values) / len(values)
            metrics |= {f"{key}/{name}": value for name, value in zip(self._layers, values, strict=True)}
        return metrics
