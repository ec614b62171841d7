"""A sweep's table of observations from an MLflow store alone: what its own run holds as an artifact."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow.client import connect, find_runs
from ubn_sweep.tracking.mlflow.entries import TAG_KIND, TAG_SWEEP, TAG_SWEEP_ID

if TYPE_CHECKING:
    from mlflow import MlflowClient

TABLE = "observations.parquet"
OF_SWEEPS = f"tags.`{TAG_KIND}` = 'sweep'"


def tables_in_store(tracking_uri: str, what: str) -> list[pa.Table]:
    """The tables of sweeps: that of a run, by its id or a sweep's name, or those of all sweeps of an experiment.

    Raises:
        UserError: the store is out of reach, or holds no such sweep, or one without a table.
    """
    try:
        client = connect(tracking_uri)
        parents = _parents(client, what)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"the MLflow store {masked(tracking_uri)} cannot be read ({describe(error)}): is the address right?"
        ) from error
    if not parents:
        raise UserError(
            f"MLflow at {masked(tracking_uri)} holds no sweep by `{what}`: give a run's id, a sweep's name, or an "
            "experiment's name"
        )
    return [_table(client, run) for run in parents]


def _parents(client: MlflowClient, what: str) -> list[Any]:
    """The runs of sweeps, the oldest first."""
    experiments = client.search_experiments()
    for experiment in experiments:
        if what in (experiment.name, experiment.experiment_id):
            return _active(find_runs(client, experiment.experiment_id, OF_SWEEPS))
    every = [run for one in experiments for run in find_runs(client, one.experiment_id, OF_SWEEPS)]
    named = [run for run in _active(every) if what in (run.info.run_id, *_names(run))]
    return named[-1:]


def _names(run: Any) -> tuple[str | None, ...]:
    tags = run.data.tags
    return run.info.run_name, tags.get(TAG_SWEEP), tags.get(TAG_SWEEP_ID)


def _active(runs: list[Any]) -> list[Any]:
    there = [run for run in runs if run.info.lifecycle_stage == "active"]
    return sorted(there, key=lambda run: (run.info.start_time, run.info.run_name or ""))


def _table(client: MlflowClient, run: Any) -> pa.Table:
    name = run.data.tags.get(TAG_SWEEP, run.info.run_name)
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = client.download_artifacts(run.info.run_id, TABLE, folder)
            return pq.read_table(Path(path))
        except Exception as error:
            raise UserError(
                f"the run of `{name}` holds no {TABLE} that can be read ({describe(error)}): `ubn-sweep landscape "
                f"{name}`, where the sweep was run, puts it there"
            ) from error
