"""A sweep in MLflow: a parent run for the sweep, and under it a run for each trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from ubn_sweep.masking import masked
from ubn_sweep.records.events import Event, SweepStarted, TrialCreated, TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.progress import Progress
from ubn_sweep.records.trials import TrialRecord, Trials
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow import entries
from ubn_sweep.tracking.mlflow.answer import answer_of
from ubn_sweep.tracking.mlflow.client import DEFAULT_EXPERIMENT
from ubn_sweep.tracking.mlflow.entries import milliseconds
from ubn_sweep.tracking.mlflow.runs import PARENT, OfSweep, Runs
from ubn_sweep.tracking.mlflow.store import Batch, MlflowStore

ARTIFACT_ATTEMPTS = 3


class SweepSink:
    """Writes a sweep's events to MLflow; use it through a Follower, or `sync`.

    Everything written follows from the events alone, times included: writing it again changes nothing.
    """

    store = "MLflow"
    resumes_from: tuple[type[Event], ...] = ()

    def __init__(self, folder: SweepFolder, tracking_uri: str, experiment: str = DEFAULT_EXPERIMENT) -> None:
        self.address = masked(tracking_uri)
        self.cursor = folder.delivered("mlflow", tracking_uri, experiment)
        default = tracking_uri == folder.default_tracking_uri
        self._store = MlflowStore(tracking_uri, experiment, folder.default_artifact_root if default else None)
        self._folder = folder
        self._runs: Runs | None = None
        self._progress = Progress()
        self._artifact_attempts = 0

    @property
    def trials(self) -> int:
        """Trials that have a run."""
        return self._runs.trials if self._runs is not None else 0

    @property
    def refused(self) -> int:
        """Batches that the store would not take."""
        return self._store.refused

    @property
    def last_refusal(self) -> str | None:
        """Why it would not take the last of them."""
        return self._store.last_refusal

    def attach(self, paths: Iterable[Path]) -> int:
        """Puts those files and folders that exist onto the sweep's run, and the report's answer into its description.

        Returns how many. Raises when it cannot.
        """
        parent = self._runs.get(PARENT) if self._runs is not None else None
        if parent is None:
            return 0
        attached = self._store.attach(parent, paths)
        answer = answer_of(self._folder)
        if answer is not None:
            self._store.write(parent, Batch(tags={"mlflow.note.content": answer}))
        return attached

    def load(self) -> None:
        self._store.load()

    def resume(self, events: Iterable[Event]) -> bool:
        self._store.connected()
        progress, created = Progress(), 0
        for event in events:
            progress.apply(event)
            created += isinstance(event, TrialCreated)
        if progress.started is None:
            return False
        runs = self._runs_of(progress.started)
        if runs.get(PARENT) is None or runs.trials < created:
            return False
        self._progress = progress
        return True

    def deliver(self, events: Sequence[Event]) -> None:
        progress = self._progress.copy()
        parent = Batch()
        for event in events:
            progress.apply(event)
            if isinstance(event, TrialEnded):
                _add_progress(event, parent, progress)
        assert progress.started is not None, "a journal begins with the sweep's record"
        new = Trials(events)
        _add_sweep(new, parent)
        self._write(progress.started, parent, new)
        self._write_unfinished(progress, new)
        if new.ended is not None:
            self._runs_of(progress.started).reload_if_doubtful()
        if new.start is not None:
            self._artifact_attempts = ARTIFACT_ATTEMPTS
        self._progress = progress
        self._offer_spec()

    # ---------------------------------------------------------------- inside

    def _runs_of(self, started: SweepStarted) -> Runs:
        if self._runs is None:
            self._runs = self._store.runs(OfSweep(started.sweep_id))
        return self._runs

    def _write(self, started: SweepStarted, of_sweep: Batch, new: Trials) -> None:
        runs = self._runs_of(started)
        tags = entries.parent_tags(started)
        parent = runs.ensure(PARENT, partial(self._store.create, started.name, started.time_s, tags))
        self._store.write(parent, of_sweep)
        for trial in new:
            if trial.creation is not None:
                create = partial(self._create_trial, started, trial.creation, parent.run_id)
                runs.ensure(trial.number, create)
            run = runs.get(trial.number)
            if run is not None:
                self._store.write(run, _batch(trial))

    def _write_unfinished(self, progress: Progress, new: Trials) -> None:
        """Trials that were under way when the sweep was left run no more, and again when it goes on."""
        left = new.interrupted
        if left is None and (new.attempts <= 1 or new.ended is not None):
            return
        if left is not None:
            end = entries.RUN_STATUS["interrupted"], milliseconds(left.time_s)
            batch = Batch(tags={entries.TAG_STATUS: left.word}, end=end)
        else:
            batch = Batch(tags={entries.TAG_STATUS: "running"}, again=True)
        assert progress.started is not None, "a journal begins with the sweep's record"
        runs = self._runs_of(progress.started)
        for trial in sorted(progress.unfinished):
            run = runs.get(trial)
            if run is not None:
                self._store.write(run, batch)

    def _create_trial(self, started: SweepStarted, created: TrialCreated, parent_run: str) -> str:
        name = entries.run_name(started.name, created.trial)
        return self._store.create(name, created.time_s, entries.trial_tags(started, created, parent_run))

    def _offer_spec(self) -> None:
        """The spec as the parent's artifact. Artifacts may live elsewhere than runs: they hold up nothing."""
        if self._artifact_attempts == 0 or not self._folder.spec.exists():
            return
        self._artifact_attempts -= 1
        try:
            self.attach([self._folder.spec])
            self._artifact_attempts = 0
        except Exception as error:
            self._store.last_refusal = describe(error)


def _add_progress(ended: TrialEnded, parent: Batch, progress: Progress) -> None:
    parent.add_metrics(progress.metrics(), time_s=ended.time_s, step=progress.ended)
    if progress.best is not None:
        parent.tags["ubn_sweep.best_trial"] = str(progress.best.trial)
    if len(progress.objectives) > 1:
        on_it = ", ".join(str(one.trial) for one in progress.front)
        parent.tags["ubn_sweep.front"] = on_it[: entries.TAG_LENGTH]


def _add_sweep(new: Trials, parent: Batch) -> None:
    if new.start is not None:
        parent.params |= entries.params(new.start.spec)
    if new.attempts > 0:
        parent.tags[entries.TAG_ATTEMPTS] = str(new.attempts)
        parent.again = new.attempts > 1 and new.ended is None and new.interrupted is None
    if new.interrupted is not None:
        parent.tags[entries.TAG_STATUS] = new.interrupted.word
        parent.end = entries.RUN_STATUS["interrupted"], milliseconds(new.interrupted.time_s)
    elif parent.again:
        parent.tags |= {entries.TAG_STATUS: "running", entries.TAG_REASON: ""}
    if new.ended is not None:
        parent.tags[entries.TAG_STATUS] = "completed"
        parent.tags[entries.TAG_REASON] = new.ended.reason
        parent.end = "FINISHED", milliseconds(new.ended.time_s)


def _batch(trial: TrialRecord) -> Batch:
    batch = Batch(params=entries.params(trial.creation.config) if trial.creation is not None else {})
    if trial.retried_s is not None:
        batch.tags[entries.TAG_REASON] = ""  # of the end that is none any more
        if trial.ended is None:
            batch.tags[entries.TAG_STATUS], batch.again = "running", True
    for epoch, report in trial.epochs.items():
        batch.add_metrics(report.metrics, time_s=report.time_s, step=epoch)
    if trial.ended is not None:
        batch.tags |= entries.end_tags(trial.ended)
        batch.end = entries.RUN_STATUS[trial.ended.status], milliseconds(trial.ended.time_s)
    return batch
