"""Sweep, map and settle the hyperparameters of Unified Batch Normalization networks."""

__version__ = "0.2.0"
