"""The command line."""

from ubn_sweep.cli.program import cli, main

__all__ = ["cli", "main"]
