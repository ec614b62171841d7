-- MLflow's own database is the image's POSTGRES_DB. Its users, and Optuna's studies, have databases of their own.
CREATE DATABASE mlflow_auth;
CREATE DATABASE optuna;
