"""Copies of the records where people look: MLflow and an Optuna storage. The journal is the truth, these may lag."""
