"""The copies of a sweep: MLflow's runs and the Optuna storage follow its journal, and are caught up after its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.space import Space
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.tracking.delivery.follower import Follower
from ubn_sweep.tracking.delivery.sync import deliver_now, log_sweep_artifacts, sync
from ubn_sweep.tracking.mlflow.runs import trial_run_ids
from ubn_sweep.tracking.mlflow.sink import MlflowSink
from ubn_sweep.tracking.optuna.mirror import StudyMirror
from ubn_sweep.tracking.uri import check_apart, check_uri, masked

PATIENCE_S = 60.0
"""How long the end of a sweep waits for a store that lags; `ubn-sweep sync` delivers the rest."""
LAG_WORTH_TELLING = 200


def tracking_uri(spec: SweepSpec, folder: SweepFolder) -> str:
    """MLflow's store: the spec's, else SQLite in the folder of the sweeps."""
    return spec.tracking.uri if spec.tracking.uri is not None else folder.default_tracking_uri


def study_storage(spec: SweepSpec, folder: SweepFolder) -> str:
    """Optuna's storage: the spec's, else SQLite in the folder of the sweeps."""
    return (
        spec.tracking.study_storage
        if spec.tracking.study_storage is not None
        else folder.default_study_storage
    )


def check_tracking(spec: SweepSpec) -> None:
    """Refuses a tracking store that can never work, before the sweep starts.

    Raises:
        UserError: the URI is of no kind that keeps runs, or MLflow and Optuna would share one database.
    """
    if spec.tracking.uri is not None:
        check_uri(spec.tracking.uri)
    if spec.tracking.uri is not None and spec.tracking.study_storage is not None:
        check_apart(spec.tracking.uri, spec.tracking.study_storage)


class Following:
    """The followers of one sweep. None of them holds it up; what they could not deliver is told at the end."""

    def __init__(self) -> None:
        self._followers: dict[str, Follower] = {}
        self.undelivered: dict[str, str] = {}
        """Store -> why not all arrived there."""

    @contextmanager
    def follow(self, state: SweepState, folder: SweepFolder) -> Iterator[None]:
        """Delivers while the block runs, and for PATIENCE_S after it."""
        mlflow = MlflowSink(folder, tracking_uri(state.spec, folder), state.spec.tracking.experiment)
        study = StudyMirror(folder, study_storage(state.spec, folder), state.space.to_dashboard)
        self._followers = {
            "MLflow": Follower(folder, mlflow, mlflow.cursor, name="mlflow"),
            "the Optuna storage": Follower(folder, study, study.cursor, name="study"),
        }
        for follower in self._followers.values():
            follower.start()
        try:
            yield
        finally:
            for store, follower in self._followers.items():
                if not follower.wait_until_caught_up(PATIENCE_S):
                    self.undelivered[store] = follower.last_error or "it is slow"
                follower.stop(timeout_s=5)

    def notice(self) -> str | None:
        """A line for the live table where a store lags or answers errors."""
        parts = []
        for store, follower in self._followers.items():
            if follower.last_error is not None:
                parts.append(f"{store}: {follower.last_error} ({follower.lag} records wait)")
            elif follower.lag > LAG_WORTH_TELLING:
                parts.append(f"{store}: {follower.lag} records wait")
        return "; ".join(parts) or None


def deliver_all(
    folder: SweepFolder, spec: SweepSpec, *, to: str | None = None, from_start: bool = False
) -> dict[str, int]:
    """Delivers what is missing, to MLflow's store (or another one) and to the Optuna storage: store -> records.

    Raises:
        UserError: a store is out of reach, or the sweep's own process is delivering.
    """
    uri = to if to is not None else tracking_uri(spec, folder)
    result = sync(folder, tracking_uri=uri, experiment=spec.tracking.experiment, from_start=from_start)
    delivered = {f"MLflow at {masked(uri)}": result.delivered}
    if to is None:
        storage = study_storage(spec, folder)
        mirror = StudyMirror(folder, storage, Space(spec).to_dashboard)
        store = f"the Optuna storage at {masked(storage)}"
        _, delivered[store] = deliver_now(folder, mirror, mirror.cursor, store=store, from_start=from_start)
    return delivered


def put_onto_parent_run(folder: SweepFolder, spec: SweepSpec, paths: Iterable[Path]) -> str | None:
    """Puts files onto the sweep's run. None when it went well, else why not: `sync` does it later."""
    return log_sweep_artifacts(
        folder, paths, tracking_uri=tracking_uri(spec, folder), experiment=spec.tracking.experiment
    )


def run_ids(folder: SweepFolder, spec: SweepSpec) -> dict[int, str]:
    """The MLflow runs of the trials; none where the store does not answer."""
    started = read_journal(folder.path)[0]
    assert isinstance(started, SweepStarted)
    try:
        return trial_run_ids(
            tracking_uri(spec, folder), started.sweep_id, experiment=spec.tracking.experiment
        )
    except Exception:  # whatever a store that is out of reach makes its client raise: the configs matter more
        return {}
