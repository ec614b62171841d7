"""Carrying out what was decided: trials in processes, on one machine or a cluster."""
