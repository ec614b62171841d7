"""Trials as Ray Tune runs them. Ray is imported here alone."""
