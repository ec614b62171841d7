"""Sweeps of known truth, and what is promised of them: the parts of benchmarks/promise_coverage.py."""
