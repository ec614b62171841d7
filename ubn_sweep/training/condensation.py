"""How condensed the features are: what the layers with a gate saw during an epoch, what any layer sees of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ubn_sweep.nn import condensation, mean_cosine_similarity
from ubn_sweep.nn.parameters import NORMALIZATIONS

MAP_DIMENSIONS = 4


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


class MeasuredCondensation:
    """Mean cosine similarity between the images of a batch, before each normalization layer, by the layer's name."""

    def __init__(self) -> None:
        self.similarities: dict[str, Tensor] = {}

    def read(self) -> dict[str, float]:
        """condensation, the mean over the layers, and condensation/<layer>; one host read."""
        if not self.similarities:
            return {}
        values = torch.stack([value.float() for value in self.similarities.values()]).tolist()
        by_layer = {
            f"condensation/{name}": value for name, value in zip(self.similarities, values, strict=True)
        }
        return {"condensation": sum(values) / len(values), **by_layer}


@contextmanager
def condensation_before_norms(model: nn.Module) -> Iterator[MeasuredCondensation]:
    """Measures what passes through the model within the block, whatever its layers are; source: figure 2.

    A layer that is called several times counts as it was called last. Batches of one image, and what is no map
    (N, C, H, W), have no similarity.
    """
    measured = MeasuredCondensation()

    def measure(name: str, x: Tensor) -> None:
        if x.dim() == MAP_DIMENSIONS and len(x) > 1:
            measured.similarities[name] = mean_cosine_similarity(x)

    handles = [
        module.register_forward_pre_hook(lambda module, given, name=name: measure(name, given[0]))
        for name, module in model.named_modules()
        if isinstance(module, NORMALIZATIONS)
    ]
    try:
        yield measured
    finally:
        for handle in handles:
            handle.remove()
