"""Layers: unified batch normalization and its relatives. Needs torch alone."""

from ubn_sweep.nn.exchange import GateExchange
from ubn_sweep.nn.families import NORM_NAMES, make_norm
from ubn_sweep.nn.folding import FoldingReport, fold_batchnorm
from ubn_sweep.nn.functional import mean_cosine_similarity, unified_batch_norm
from ubn_sweep.nn.layers import (
    SandwichBatchNorm2d,
    SynchronizedSandwichBatchNorm2d,
    SynchronizedUnifiedBatchNorm2d,
    UnifiedBatchNorm2d,
    condensation,
)
from ubn_sweep.nn.parameters import norm_parameters
from ubn_sweep.nn.recalibration import recalibrate
from ubn_sweep.nn.surgery import ConversionReport, Replacement, convert_batchnorm, revert

__all__ = [
    "NORM_NAMES",
    "ConversionReport",
    "FoldingReport",
    "GateExchange",
    "Replacement",
    "SandwichBatchNorm2d",
    "SynchronizedSandwichBatchNorm2d",
    "SynchronizedUnifiedBatchNorm2d",
    "UnifiedBatchNorm2d",
    "condensation",
    "convert_batchnorm",
    "fold_batchnorm",
    "make_norm",
    "mean_cosine_similarity",
    "norm_parameters",
    "recalibrate",
    "revert",
    "unified_batch_norm",
]
