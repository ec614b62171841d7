"""Writing runs into an MLflow store: what the copies of sweeps and of final trainings share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow.client import connect, experiment_id, load, was_refused
from ubn_sweep.tracking.mlflow.entries import key, milliseconds
from ubn_sweep.tracking.mlflow.runs import RunRef, Runs, Whose

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric


@dataclass(kw_only=True)
class Batch:
    """What one delivery has for one run."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    again: bool = False
    """An attempt at it began, and none has ended since: it runs, whatever it did before."""
    end: tuple[str, int] | None = None
    """Run status and time in milliseconds."""

    def add_metrics(self, values: Mapping[str, float], *, time_s: float, step: int) -> None:
        from mlflow.entities import Metric

        now_ms = milliseconds(time_s)
        self.metrics += [Metric(key(name), value, now_ms, step) for name, value in values.items()]


class MlflowStore:
    """One experiment of a store, which is connected to when it is first needed.

    What the store refuses for good (someone deleted the run, for example) is passed over and counted.
    """

    def __init__(self, tracking_uri: str, experiment: str, artifact_root: Path | None) -> None:
        """`artifact_root` is for an experiment that does not exist yet; null leaves it to the store."""
        self.refused = 0
        """Batches that the store would not take."""
        self.last_refusal: str | None = None
        self._uri = tracking_uri
        self._experiment_name = experiment
        self._artifact_root = artifact_root
        self._client: MlflowClient | None = None
        self._experiment = ""

    def load(self) -> None:
        """Imports what the client needs."""
        load(self._uri)

    def connected(self) -> MlflowClient:
        """The client. Raises when the store is out of reach."""
        if self._client is None:
            client = connect(self._uri)
            self._experiment = experiment_id(client, self._experiment_name, self._artifact_root)
            self._client = client
        return self._client

    def runs(self, whose: Whose) -> Runs:
        """Those of the runs that are there. Raises when the store is out of reach."""
        runs = Runs(self.connected(), self._experiment, whose)
        runs.load()
        return runs

    def create(self, name: str, time_s: float, tags: dict[str, str]) -> str:
        """A new run; its id."""
        run = self.connected().create_run(
            self._experiment, start_time=milliseconds(time_s), tags=tags, run_name=name
        )
        return str(run.info.run_id)

    def write(self, run: RunRef, batch: Batch) -> None:
        """Writes a batch; a run that someone deleted is left alone. Raises when the store is out of reach."""
        from mlflow.entities import Param, RunTag

        if not run.active:
            return
        client = self.connected()
        params = [Param(name, value) for name, value in batch.params.items()]
        tags = [RunTag(name, value) for name, value in batch.tags.items()]
        try:
            if batch.metrics or params or tags:
                client.log_batch(run.run_id, metrics=batch.metrics, params=params, tags=tags)
            if batch.again:
                client.update_run(run.run_id, status="RUNNING")
            if batch.end is not None:
                client.set_terminated(run.run_id, status=batch.end[0], end_time=batch.end[1])
        except Exception as error:
            if not was_refused(error):
                raise
            self.refused += 1
            self.last_refusal = describe(error)

    def attach(self, run: RunRef | None, paths: Iterable[Path]) -> int:
        """Puts those files and folders that exist onto a run; how many. Raises when it cannot."""
        if run is None or not run.active:
            return 0
        there = [path for path in paths if path.exists()]
        for path in there:
            if path.is_dir():
                self.connected().log_artifacts(run.run_id, str(path), artifact_path=path.name)
            else:
                self.connected().log_artifact(run.run_id, str(path))
        return len(there)
