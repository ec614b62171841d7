"""The final trainings that an MLflow store holds, and what became of the promises behind them."""

from __future__ import annotations

from typing import Any

from ubn_sweep.records.promises import Settled
from ubn_sweep.tracking.mlflow.client import DEFAULT_EXPERIMENT, connect, find_runs
from ubn_sweep.tracking.mlflow.entries import (
    OF_SEEDS,
    TAG_FINAL_ID,
    TAG_KIND,
    TAG_PARENT,
    TAG_SWEEP,
    TAG_SWEEP_ID,
    TAG_TRIAL,
    TAG_VERDICT,
)


def settled_in(tracking_uri: str, *, experiment: str = DEFAULT_EXPERIMENT) -> list[Settled]:
    """Those of configs that promised something; runs that someone deleted are none. Raises when the store is out of
    reach."""
    client = connect(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    runs: list[Any] = []
    for kind in ("final", OF_SEEDS):
        runs += find_runs(client, found.experiment_id, f"tags.`{TAG_KIND}` = '{kind}'")
    return [
        _settled(run)
        for run in runs
        if run.info.lifecycle_stage == "active" and TAG_PARENT not in run.data.tags and _promised(run)
    ]


def _promised(run: Any) -> bool:
    """A verdict is told of a promise alone."""
    tags = run.data.tags
    return TAG_VERDICT in tags and TAG_SWEEP_ID in tags and TAG_TRIAL in tags


def _settled(run: Any) -> Settled:
    tags, kept = run.data.tags, run.data.metrics.get("promise_kept")
    return Settled(
        final_id=tags[TAG_FINAL_ID],
        sweep_id=tags[TAG_SWEEP_ID],
        sweep=tags.get(TAG_SWEEP, ""),
        trial=int(tags[TAG_TRIAL]),
        time_s=run.info.start_time / 1000,
        kept=None if kept is None else kept > 0.5,
    )
