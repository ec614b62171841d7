"""The spec of a sweep: one YAML file, checked before anything starts."""
