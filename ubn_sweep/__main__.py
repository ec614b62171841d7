"""`python -m ubn_sweep`: the command line where its script is not installed."""

from ubn_sweep.cli import main

main()
