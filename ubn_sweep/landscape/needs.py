"""How many trials it takes before the landscape says something; `preview` tells it before they are trained."""

CURVE_TRIALS = 8
"""Finished ones with a threshold, for its curve."""
IMPORTANCE_TRIALS = 16
"""With a score at a common epoch, for what mattered."""
