"""Which MLflow run belongs to which trial, or final training: found by tags, and never made twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ubn_sweep.tracking.mlflow.client import DEFAULT_EXPERIMENT, connect, find_runs
from ubn_sweep.tracking.mlflow.entries import TAG_FINAL_ID, TAG_KIND, TAG_TRIAL, id_filter, quoted

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT = -1
"""Takes the place of a trial's number for the sweep's own run, and for that of a final training."""


@dataclass(frozen=True, kw_only=True)
class RunRef:
    run_id: str
    active: bool
    """False: someone deleted it in MLflow, and it is left alone."""


class Whose(Protocol):
    """Which runs belong together, and which of them is which."""

    def filter(self, trial: int | None = None) -> str:
        """What finds them all in a store, or those of one trial (PARENT for the run that is no trial's)."""

    def trial_of(self, run: Any) -> int | None:
        """The trial of a run that was found; None where it is none of them."""


@dataclass(frozen=True)
class OfSweep:
    """A sweep's own run and those of its trials."""

    sweep_id: str

    def filter(self, trial: int | None = None) -> str:
        if trial == PARENT:
            return f"{id_filter(self.sweep_id)} AND tags.`{TAG_KIND}` = 'sweep'"
        return id_filter(self.sweep_id, trial)

    def trial_of(self, run: Any) -> int | None:
        tags = run.data.tags
        kind = tags.get(TAG_KIND)
        if kind == "sweep":
            return PARENT
        return int(tags[TAG_TRIAL]) if kind == "trial" else None


@dataclass(frozen=True)
class OfFinal:
    """The run of a final training."""

    final_id: str

    def filter(self, trial: int | None = None) -> str:
        return f"tags.`{TAG_FINAL_ID}` = {quoted(self.final_id)}"

    def trial_of(self, run: Any) -> int | None:
        return PARENT


class Runs:
    """The runs of one sweep, or of one final training, in one experiment.

    A request to create a run may fail and yet have created it. So after a failure the store is asked first;
    and where a slow server made a second one all the same, the emptier is deleted when they are next read.
    """

    def __init__(self, client: MlflowClient, experiment: str, whose: Whose) -> None:
        self._client = client
        self._experiment = experiment
        self._whose = whose
        self._runs: dict[int, RunRef] = {}
        self._doubtful: set[int] = set()
        self._had_doubts = False

    def load(self) -> None:
        """Reads all of them from the store."""
        self._adopt(find_runs(self._client, self._experiment, self._whose.filter()))

    def reload_if_doubtful(self) -> None:
        """Reads them again where the creation of one had failed."""
        if self._had_doubts:
            self.load()
            self._had_doubts = False

    @property
    def trials(self) -> int:
        return len(self._runs.keys() - {PARENT})

    def get(self, trial: int) -> RunRef | None:
        return self._runs.get(trial)

    def ensure(self, trial: int, create: Callable[[], str]) -> RunRef:
        """The run of a trial, or the one that is no trial's (PARENT); `create` makes it and returns its id."""
        if trial in self._doubtful:
            self._had_doubts = True
            self._adopt(find_runs(self._client, self._experiment, self._whose.filter(trial)))
        found = self._runs.get(trial)
        if found is None:
            self._doubtful.add(trial)
            found = self._runs[trial] = RunRef(run_id=create(), active=True)
        self._doubtful.discard(trial)
        return found

    def _adopt(self, runs: list[Any]) -> None:
        by_trial: dict[int, list[Any]] = {}
        for run in runs:
            trial = self._whose.trial_of(run)
            if trial is not None:
                by_trial.setdefault(trial, []).append(run)
        for trial, candidates in by_trial.items():
            kept = fullest(candidates)
            for other in candidates:
                if other is not kept and _active(other):
                    self._client.delete_run(other.info.run_id)
            self._runs[trial] = RunRef(run_id=kept.info.run_id, active=_active(kept))


def parent_run_id(tracking_uri: str, sweep_id: str, *, experiment: str = DEFAULT_EXPERIMENT) -> str | None:
    """The sweep's own run in a store; None where it is not there. Raises when the store is out of reach."""
    return _run_id(tracking_uri, sweep_id, PARENT, experiment)


def trial_run_id(
    tracking_uri: str, sweep_id: str, trial: int, *, experiment: str = DEFAULT_EXPERIMENT
) -> str | None:
    """A trial's run in a store; None where it is not there. Raises when the store is out of reach."""
    return _run_id(tracking_uri, sweep_id, trial, experiment)


def final_run_id(tracking_uri: str, final_id: str, *, experiment: str = DEFAULT_EXPERIMENT) -> str | None:
    """A final training's run in a store; None where it is not there. Raises when the store is out of reach."""
    client = connect(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    runs = [] if found is None else find_runs(client, found.experiment_id, OfFinal(final_id).filter())
    return str(fullest(runs).info.run_id) if runs else None


def trial_run_ids(
    tracking_uri: str, sweep_id: str, *, experiment: str = DEFAULT_EXPERIMENT
) -> dict[int, str]:
    """Trial -> its run, of those that have arrived in a store. Raises when the store is out of reach."""
    client = connect(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    whose = OfSweep(sweep_id)
    runs = [] if found is None else find_runs(client, found.experiment_id, whose.filter())
    by_trial: dict[int, list[Any]] = {}
    for run in runs:
        trial = whose.trial_of(run)
        if trial is not None and trial != PARENT:
            by_trial.setdefault(trial, []).append(run)
    return {trial: str(fullest(same).info.run_id) for trial, same in by_trial.items()}


def trial_pages(tracking_uri: str, sweep_id: str, *, experiment: str = DEFAULT_EXPERIMENT) -> dict[int, str]:
    """Trial -> the address of its run in a server's UI, without a password. Raises when the server is out of reach."""
    found = connect(tracking_uri).get_experiment_by_name(experiment)
    if found is None:
        return {}
    scheme, _, rest = tracking_uri.partition("://")
    place = f"{scheme}://{rest.rpartition('@')[2].rstrip('/')}/#/experiments/{found.experiment_id}/runs"
    runs = trial_run_ids(tracking_uri, sweep_id, experiment=experiment)
    return {trial: f"{place}/{run}" for trial, run in runs.items()}


def fullest(runs: list[Any]) -> Any:
    """The run that is not deleted and holds most; by id where that does not decide."""
    return max(
        runs, key=lambda run: (_active(run), len(run.data.metrics), len(run.data.params), run.info.run_id)
    )


def _run_id(tracking_uri: str, sweep_id: str, trial: int, experiment: str) -> str | None:
    client = connect(tracking_uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    whose = OfSweep(sweep_id)
    candidates = find_runs(client, found.experiment_id, whose.filter(trial))
    runs = [run for run in candidates if whose.trial_of(run) == trial]
    return str(fullest(runs).info.run_id) if runs else None


def _active(run: Any) -> bool:
    return bool(run.info.lifecycle_stage == "active")
