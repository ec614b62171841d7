"""How many trials it takes before the landscape says something; `preview` tells it before they are trained."""

THRESHOLD = "norm.threshold"
"""The key whose curve the report draws."""
CURVE_TRIALS = 8
"""Finished ones with a threshold, for its curve."""
IMPORTANCE_TRIALS = 16
"""With a score at a common epoch, for what mattered."""
PROFILE_TRIALS = 12
"""With a threshold and a score, for its profiles at the full budget."""
