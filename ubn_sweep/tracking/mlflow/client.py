"""The one door to MLflow: imported late, quiet, private, and quick to give up on a dead server."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ubn_sweep.certificates import trusted_file
from ubn_sweep.errors import UserError
from ubn_sweep.privacy import opt_out_of_usage_reports
from ubn_sweep.tracking.mlflow.fresh_sqlite import create_if_missing
from ubn_sweep.tracking.uri import check_uri, with_driver

__all__ = ["check_uri", "connect", "experiment_id", "find_runs", "was_refused"]

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_EXPERIMENT = "ubn-sweep"
IMPATIENT = {
    # Whoever calls tries again by itself. MLflow's own retries take minutes, and may make a run twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "PGCONNECT_TIMEOUT": "10",
}
QUIET = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
SERVERS = ("http:", "https:", "databricks")
CHATTY_LOGGERS = ("alembic", "mlflow.store.db.utils", "urllib3.connectionpool")
PAGE = 500
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # else it opens as one of language models and their traces
    "mlflow.note.content": (
        "Sweeps of ubn-sweep: a run for each sweep, below it one for each trial, and final trainings beside them. "
        "`ubn-sweep ui SWEEP` opens a sweep's trials, best first; the sweep's own run holds its report."
    ),
}


def load(tracking_uri: str) -> None:
    """Imports MLflow, set up as it is used here, with the modules that it leaves until a store is used."""
    opt_out_of_usage_reports()
    for name, value in (IMPATIENT | QUIET).items():
        os.environ.setdefault(name, value)
    import mlflow.store.artifact.artifact_repository_registry

    if tracking_uri.startswith(SERVERS):
        trusted_file()
    else:
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def connect(tracking_uri: str) -> MlflowClient:
    """A client of a tracking store. A database is created where it is missing; a server is not asked yet.

    Raises:
        Exception: the database cannot be reached.
    """
    load(tracking_uri)
    import mlflow

    tracking_uri = with_driver(tracking_uri)
    _probe_database(tracking_uri)
    create_if_missing(tracking_uri)
    return mlflow.MlflowClient(tracking_uri=tracking_uri)


def experiment_id(client: MlflowClient, name: str, artifact_root: Path | None = None) -> str:
    """The id of an experiment, which is created where it is missing."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        location = artifact_root.absolute().as_uri() if artifact_root is not None else None
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process was quicker
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise UserError(f"the experiment `{name}` was deleted: restore it in MLflow, or name another one")
    return str(found.experiment_id)


def find_runs(client: MlflowClient, experiment: str, filter_string: str) -> list[Any]:
    """All runs of an experiment that a filter fits, deleted ones included."""
    from mlflow.entities import ViewType

    runs: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], filter_string, ViewType.ALL, PAGE, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def was_refused(error: Exception) -> bool:
    """Whether a store that can be reached will not take what it was given, now or later."""
    from mlflow.exceptions import MlflowException

    refusals = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "BAD_REQUEST")
    return isinstance(error, MlflowException) and error.error_code in refusals


def _probe_database(uri: str) -> None:
    """MLflow tries for half an hour to open a database that is down, in one call. This takes seconds."""
    if uri.startswith((*SERVERS, "sqlite:")):
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
    with contextlib.closing(engine.connect()):
        pass
