"""A sweep from its spec to its end."""
