"""Sweep, map and settle the hyperparameters of Unified Batch Normalization networks."""

from importlib import import_module as _import_module
from typing import Any as _Any

__version__ = "0.2.0"
__all__ = ["Landscape", "Sweep", "__version__"]


def __getattr__(name: str) -> _Any:
    """`from ubn_sweep import Sweep`, docs/api.md: what it needs is imported with its first use, and not before."""
    if name == "Sweep":
        return _import_module("ubn_sweep.api").Sweep
    if name == "Landscape":
        return _import_module("ubn_sweep.maps").Landscape
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
