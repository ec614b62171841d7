"""The trials that every sweep begins with: the paper's defaults, and plain BatchNorm to compare with."""

from __future__ import annotations

from ubn_sweep.sweep.spec.parameters import Scalar
from ubn_sweep.sweep.spec.space import Params, Space

PAPER: dict[str, Scalar] = {
    "norm.name": "ubn",
    "norm.gate": True,
    "norm.threshold": 0.15,
    "norm.momentum": 0.1,
    "norm.similarity_momentum": 0.1,
    "norm.centering": True,
    "norm.scaling": "representative",
    "norm.affine": "depthwise",
    "norm.kernel_size": 3,
}
"""arXiv 2311.15993, section 4: the threshold; PyTorch's and the layer's defaults elsewhere."""
BATCH_NORM: dict[str, Scalar] = {
    "norm.name": "bn",
    "norm.gate": False,
    "norm.momentum": 0.1,
    "norm.centering": False,
    "norm.scaling": None,
    "norm.affine": "pointwise",
}


def warm_starts(space: Space) -> list[tuple[str, Params]]:
    """(name, params) of the points nearest to the paper's defaults and to plain BatchNorm, without repetition.

    What neither says, the learning rate for example, is taken from the spec's base.
    """
    starts: list[tuple[str, Params]] = []
    for name, wanted in (("paper", PAPER), ("bn", BATCH_NORM)):
        params: Params = {}
        for key in space.keys:
            if space.is_active(key, params):
                params[key] = space.nearest(key, wanted.get(key, space.base_value(key)))
        if all(params != other for _, other in starts):
            starts.append((name, params))
    return starts
