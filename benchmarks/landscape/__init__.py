"""Helpers of benchmarks/landscape_accuracy.py: problems with known profiles, sweeps that see them, what is read."""
