"""The records as MLflow's runs. MLflow is imported here alone."""
