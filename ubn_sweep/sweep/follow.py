"""Copies a running sweep's journal to where people look: MLflow's runs and the Optuna storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ubn_sweep.sweep.spec import SweepSpec
from ubn_sweep.sweep.state import SweepState
from ubn_sweep.sweep.study_mirror import StudyMirror
from ubn_sweep.tracking.follower import Follower
from ubn_sweep.tracking.mlflow_sink import MlflowSink
from ubn_sweep.tracking.store import SweepFolder
from ubn_sweep.tracking.uri import check_apart, check_uri

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
