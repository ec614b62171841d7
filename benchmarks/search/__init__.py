"""Helpers of benchmarks/search_efficiency.py: problems with known curves, simulated workers, the report."""
