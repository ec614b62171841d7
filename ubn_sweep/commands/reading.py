"""Tables of observations, from sweeps' folders or from an MLflow store alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ubn_sweep.records.folder import find_sweep
from ubn_sweep.records.observations import observations_of
from ubn_sweep.tracking.mlflow.tables import tables_in_store


def tables_of(sweeps: Sequence[str], *, from_mlflow: str | None, home: Path) -> list[pa.Table]:
    """One for each sweep, by name or folder; with an MLflow store, by a run's id or name, or all of an experiment.

    Raises:
        UserError: one is not there, or cannot be read.
    """
    if from_mlflow is None:
        return [observations_of(find_sweep(sweep, home).path) for sweep in sweeps]
    return [table for sweep in sweeps for table in tables_in_store(from_mlflow, sweep)]
