"""The layers: state around the functions of functional.py."""

from ubn_sweep.nn.layers.gated import GatedBatchNorm2d, condensation
from ubn_sweep.nn.layers.sandwich import SandwichBatchNorm2d
from ubn_sweep.nn.layers.synchronized import SynchronizedSandwichBatchNorm2d, SynchronizedUnifiedBatchNorm2d
from ubn_sweep.nn.layers.unified import UnifiedBatchNorm2d

__all__ = [
    "GatedBatchNorm2d",
    "SandwichBatchNorm2d",
    "SynchronizedSandwichBatchNorm2d",
    "SynchronizedUnifiedBatchNorm2d",
    "UnifiedBatchNorm2d",
    "condensation",
]
