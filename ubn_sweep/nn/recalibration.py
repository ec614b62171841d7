"""Running statistics anew: after the weights were averaged (SWA, EMA) or changed by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from ubn_sweep.nn.layers import condensation


def recalibrate(model: nn.Module, batches: Iterable[Any], *, device: torch.device | None = None) -> None:
    """The running statistics become the mean over all batches: torch.optim.swa_utils.update_bn with open gates.

    `update_bn` itself keeps to the gates, so that of a layer whose samples are not alike the first batch alone counts.
    Thresholds and running similarities are afterwards what they were.

    Args:
        batches: Of images, or of tuples whose first entry is images.
        device: Where the images are moved to; None leaves them.
    """
    gated = [layer for _, layer in condensation(model)]
    before = [(layer.threshold, layer.running_similarity.clone(), layer.gate_open) for layer in gated]
    try:
        for layer in gated:
            layer.threshold = None
        update_bn(batches, model, device)
    finally:
        for layer, (threshold, similarity, gate_open) in zip(gated, before, strict=True):
            layer.threshold, layer.gate_open = threshold, gate_open
            layer.running_similarity.copy_(similarity)
