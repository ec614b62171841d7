"""The stores that a sweep is copied to, after it ended: catching up, reports, and the runs of its trials."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ubn_sweep.sweep.follow import study_storage, tracking_uri
from ubn_sweep.sweep.space import Space
from ubn_sweep.sweep.spec import SweepSpec
from ubn_sweep.sweep.study_mirror import StudyMirror
from ubn_sweep.tracking.events import SweepStarted
from ubn_sweep.tracking.journal import read_journal
from ubn_sweep.tracking.runs import trial_run_ids
from ubn_sweep.tracking.store import SweepFolder
from ubn_sweep.tracking.sync import deliver_now, log_sweep_artifacts, sync
from ubn_sweep.tracking.uri import masked


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
