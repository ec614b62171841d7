"""What trials are called beside their number: a sweep's starts, and plain BatchNorm wherever it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WARM_START = "warm start: "
BATCH_NORM, PAPER = "bn", "paper"
"""As the tasks with a section `norm` call their starts."""
SWITCHED_OFF: dict[str, tuple[Any, ...]] = {
    "norm.gate": (False,),
    "norm.centering": (False,),
    "norm.scaling": (None, "none"),
    "norm.affine": ("pointwise",),
}
"""UBN with all of its parts off is BatchNorm; a value that is null has no text, or the text `none`."""


def is_batch_norm(config: Mapping[str, Any]) -> bool:
    """Whether a config of dotted keys trains plain BatchNorm, by name or by what is switched off."""
    if config.get("norm.name") != "ubn":
        return config.get("norm.name") == "bn"
    return all(config.get(key) in values for key, values in SWITCHED_OFF.items())


def start_name(origin: str, config: Mapping[str, Any]) -> str:
    """`paper`, `bn`, `near paper`, `point 1`; empty for what a sampler drew.

    Version 0.1 called `bn` what was nearest to it: here that is `near bn`.
    """
    name = origin.removeprefix(WARM_START)
    if name == BATCH_NORM and not is_batch_norm(config):
        return f"near {BATCH_NORM}"
    return name if name != origin or origin.startswith("point ") else ""
