"""A sweep in MLflow: a parent run for the sweep, and under it a run for each trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ubn_sweep.records.events import (
    AttemptStarted,
    EpochReported,
    Event,
    SweepEnded,
    SweepStarted,
    TrialCreated,
    TrialEnded,
)
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.progress import Progress
from ubn_sweep.tracking.delivery.cursor import cursor_file
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow import entries
from ubn_sweep.tracking.mlflow.client import DEFAULT_EXPERIMENT, connect, experiment_id, was_refused
from ubn_sweep.tracking.mlflow.entries import milliseconds
from ubn_sweep.tracking.mlflow.runs import PARENT, Runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

ARTIFACT_ATTEMPTS = 3


@dataclass(kw_only=True)
class _Batch:
    """What one delivery has for one run."""

    created: TrialCreated | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    end: tuple[str, int] | None = None
    """Run status and time in milliseconds."""


class MlflowSink:
    """Writes events to MLflow; use it through a Follower, or `sync`.

    Everything written follows from the events alone, times included: writing it again changes nothing.
    What the store refuses for good (someone deleted the run, for example) is passed over and counted.
    """

    def __init__(self, folder: SweepFolder, tracking_uri: str, experiment: str = DEFAULT_EXPERIMENT) -> None:
        self.refused = 0
        """Batches that the store would not take."""
        self.last_refusal: str | None = None
        self._folder = folder
        self._uri = tracking_uri
        self._experiment_name = experiment
        self._client: MlflowClient | None = None
        self._experiment = ""
        self._runs: Runs | None = None
        self._progress = Progress()
        self._artifact_attempts = 0

    @property
    def cursor(self) -> Path:
        """Where the follower keeps how far it is."""
        return cursor_file(self._folder, "mlflow", self._uri, self._experiment_name)

    @property
    def trials(self) -> int:
        """Trials that have a run."""
        return self._runs.trials if self._runs is not None else 0

    @property
    def has_parent(self) -> bool:
        return self._runs is not None and self._runs.get(PARENT) is not None

    def log_artifacts(self, paths: Iterable[Path]) -> int:
        """Puts those files and folders that exist onto the sweep's run; how many. Raises when it cannot."""
        parent = self._runs.get(PARENT) if self._runs is not None else None
        if parent is None or not parent.active:
            return 0
        there = [path for path in paths if path.exists()]
        for path in there:
            if path.is_dir():
                self._connected().log_artifacts(parent.run_id, str(path), artifact_path=path.name)
            else:
                self._connected().log_artifact(parent.run_id, str(path))
        return len(there)

    def resume(self, events: Sequence[Event]) -> bool:
        self._connected()
        progress = Progress()
        trials = 0
        for event in events:
            progress.apply(event)
            trials += isinstance(event, TrialCreated)
        if progress.started is None:
            return False
        runs = self._runs_of(progress.started)
        if runs.get(PARENT) is None or runs.trials < trials:
            return False
        self._progress = progress
        return True

    def deliver(self, events: Sequence[Event]) -> None:
        self._connected()
        progress = self._progress.copy()
        batches: dict[int, _Batch] = {PARENT: _Batch()}
        for event in events:
            progress.apply(event)
            _add(event, batches, progress)
        assert progress.started is not None, "a journal begins with the sweep's record"
        self._write(batches, progress.started)
        if any(isinstance(event, SweepEnded) for event in events):
            self._runs_of(progress.started).reload_if_doubtful()
        if any(isinstance(event, SweepStarted) for event in events):
            self._artifact_attempts = ARTIFACT_ATTEMPTS
        self._progress = progress
        self._offer_spec()

    # ---------------------------------------------------------------- inside

    def _connected(self) -> MlflowClient:
        if self._client is None:
            client = connect(self._uri)
            default = self._uri == self._folder.default_tracking_uri
            root = self._folder.default_artifact_root if default else None
            self._experiment = experiment_id(client, self._experiment_name, root)
            self._client = client
        return self._client

    def _runs_of(self, started: SweepStarted) -> Runs:
        if self._runs is None:
            runs = Runs(self._connected(), self._experiment, started.sweep_id)
            runs.load()
            self._runs = runs
        return self._runs

    def _write(self, batches: dict[int, _Batch], started: SweepStarted) -> None:
        runs = self._runs_of(started)
        parent = runs.ensure(PARENT, lambda: self._create_parent(started))
        for trial, batch in batches.items():
            if batch.created is not None:
                runs.ensure(trial, partial(self._create_trial, started, batch.created, parent.run_id))
            run = runs.get(trial)
            if run is not None and run.active:
                self._write_run(run.run_id, batch)

    def _write_run(self, run_id: str, batch: _Batch) -> None:
        from mlflow.entities import Param, RunTag

        client = self._connected()
        params = [Param(name, value) for name, value in batch.params.items()]
        tags = [RunTag(name, value) for name, value in batch.tags.items()]
        try:
            if batch.metrics or params or tags:
                client.log_batch(run_id, metrics=batch.metrics, params=params, tags=tags)
            if batch.end is not None:
                client.set_terminated(run_id, status=batch.end[0], end_time=batch.end[1])
        except Exception as error:
            if not was_refused(error):
                raise
            self.refused += 1
            self.last_refusal = describe(error)

    def _create_parent(self, started: SweepStarted) -> str:
        return self._create(started.name, started.time_s, entries.parent_tags(started))

    def _create_trial(self, started: SweepStarted, created: TrialCreated, parent_run: str) -> str:
        name = entries.run_name(started.name, created.trial)
        return self._create(name, created.time_s, entries.trial_tags(started, created, parent_run))

    def _create(self, name: str, time_s: float, tags: dict[str, str]) -> str:
        run = self._connected().create_run(
            self._experiment, start_time=milliseconds(time_s), tags=tags, run_name=name
        )
        return str(run.info.run_id)

    def _offer_spec(self) -> None:
        """The spec as the parent's artifact. Artifacts may live elsewhere than runs: they hold up nothing."""
        if self._artifact_attempts == 0 or self._runs is None or not self._folder.spec.exists():
            return
        self._artifact_attempts -= 1
        try:
            self.log_artifacts([self._folder.spec])
            self._artifact_attempts = 0
        except Exception as error:
            self.last_refusal = describe(error)


def _add(event: Event, batches: dict[int, _Batch], progress: Progress) -> None:
    parent = batches[PARENT]
    if isinstance(event, SweepStarted):
        parent.params |= entries.params(event.spec)
    elif isinstance(event, AttemptStarted):
        parent.tags["ubn_sweep.attempts"] = str(event.attempt)
    elif isinstance(event, TrialCreated):
        batches[event.trial] = _Batch(created=event, params=entries.params(event.config))
    elif isinstance(event, EpochReported):
        batch = batches.setdefault(event.trial, _Batch())
        batch.metrics += _metrics(event.metrics, event.time_s, event.epoch)
    elif isinstance(event, TrialEnded):
        batch = batches.setdefault(event.trial, _Batch())
        batch.tags |= {
            entries.TAG_STATUS: event.status,
            entries.TAG_LAST_EPOCH: str(event.epoch),
        }
        if event.reason:
            batch.tags[entries.TAG_REASON] = event.reason[: entries.TAG_LENGTH]
        batch.end = entries.RUN_STATUS[event.status], milliseconds(event.time_s)
        parent.metrics += _metrics(progress.metrics(), event.time_s, progress.ended)
        if progress.best is not None:
            parent.tags["ubn_sweep.best_trial"] = str(progress.best.trial)
    elif isinstance(event, SweepEnded):
        parent.tags[entries.TAG_STATUS] = "completed"
        parent.end = "FINISHED", milliseconds(event.time_s)


def _metrics(values: dict[str, float], time_s: float, step: int) -> Iterable[Metric]:
    from mlflow.entities import Metric

    now_ms = milliseconds(time_s)
    return [Metric(entries.key(name), value, now_ms, step) for name, value in values.items()]
