"""The records as a study in an Optuna storage."""
