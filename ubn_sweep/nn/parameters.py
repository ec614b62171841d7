"""The parameters of the normalization layers, which optimizers often treat apart."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

NORMALIZATIONS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def norm_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Those of every normalization layer of the model, each once, depthwise kernels included; in the model's order."""
    found = {
        id(parameter): parameter
        for module in model.modules()
        if isinstance(module, NORMALIZATIONS)
        for parameter in module.parameters(recurse=False)
    }
    return list(found.values())
