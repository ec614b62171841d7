"""What the normalization layer means to a sweep: where its options have an effect, and where sweeps of it begin.

For any task whose config has the section `norm`, a NormConfig.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ubn_sweep.training.config import NormConfig

Scalar = bool | int | float | str | None
Start = Mapping[str, Scalar] | Sequence[Mapping[str, Scalar]]

_ONLY_UBN: Mapping[str, Sequence[Scalar]] = {"norm.name": ["ubn"]}
NORM_EFFECTS: dict[str, Mapping[str, Sequence[Scalar]]] = {
    "norm.threshold": {"norm.gate": [True]},
    "norm.similarity_momentum": {"norm.gate": [True]},
    "norm.kernel_size": {"norm.affine": ["depthwise"]},
    **{f"norm.{name}": _ONLY_UBN for name in ("gate", "centering", "scaling", "affine")},
}
"""Key -> the values of others under which alone it has an effect."""
NORM_STARTS: dict[str, Start] = {
    # arXiv 2311.15993, section 4: the threshold; PyTorch's and the layer's defaults elsewhere.
    "paper": {
        "norm.name": "ubn",
        "norm.gate": True,
        "norm.threshold": 0.15,
        "norm.momentum": 0.1,
        "norm.similarity_momentum": 0.1,
        "norm.centering": True,
        "norm.scaling": "representative",
        "norm.affine": "depthwise",
        "norm.kernel_size": 3,
    },
    # By its name, or as what UBN is with all of its parts switched off.
    "bn": (
        {"norm.name": "bn", "norm.momentum": 0.1},
        {
            "norm.name": "ubn",
            "norm.gate": False,
            "norm.momentum": 0.1,
            "norm.centering": False,
            "norm.scaling": None,
            "norm.affine": "pointwise",
        },
    ),
}
"""The paper's defaults, and plain BatchNorm to compare with."""
NUMERIC = ("threshold", "momentum", "similarity_momentum")
NORM_CHOICES = tuple(
    f"norm.{item.name}" for item in dataclasses.fields(NormConfig) if item.name not in NUMERIC
)
"""The options that have single values: the report compares these one by one."""
