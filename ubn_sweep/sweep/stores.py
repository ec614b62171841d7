"""The stores that a sweep is copied to, after it ended: catching up, reports, and the runs of its trials."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ubn_sweep.sweep.follow import study_storage, tracking_uri
from ubn_sweep.sweep.space import Space
from ubn_sweep.sweep.spec import SweepSpec
from ubn_sweep.sweep.state import SweepState
from ubn_sweep.sweep.study_mirror import StudyMirror
from ubn_sweep.tracking.events import SweepStarted
from ubn_sweep.tracking.journal import read_journal
from ubn_sweep.tracking.runs import trial_run_id
from ubn_sweep.tracking.store import SweepFolder
from ubn_sweep.tracking.sync import deliver_now, log_sweep_artifacts, sync


def deliver_all(folder: SweepFolder, spec: SweepSpec, *, to: str | None = None) -> dict[str, int]:
    """Delivers what is missing, to MLflow's store (or another one) and to the Optuna storage: store -> records.

    Raises:
        UserError: a store is out of reach, or the sweep's own process is delivering.
    """
    uri = to if to is not None else tracking_uri(spec, folder)
    result = sync(folder, tracking_uri=uri, experiment=spec.tracking.experiment)
    delivered = {f"MLflow at {uri}": result.delivered}
    if to is None:
        storage = study_storage(spec, folder)
        mirror = StudyMirror(folder, storage, Space(spec).to_dashboard)
        store = f"the Optuna storage at {storage}"
        _, delivered[store] = deliver_now(folder, mirror, mirror.cursor, store=store)
    return delivered


def put_onto_parent_run(folder: SweepFolder, spec: SweepSpec, paths: Iterable[Path]) -> str | None:
    """Puts files onto the sweep's run. None when it went well, else why not: `sync` does it later."""
    return log_sweep_artifacts(
        folder, paths, tracking_uri=tracking_uri(spec, folder), experiment=spec.tracking.experiment
    )


def trial_run_ids(folder: SweepFolder, spec: SweepSpec, *, most: int) -> dict[int, str]:
    """The MLflow runs of the best finished trials, as far as the store answers."""
    events = read_journal(folder.path)
    started = events[0]
    assert isinstance(started, SweepStarted)
    state = SweepState(spec, record=lambda event: None)
    state.replay(events)
    completed = [trial for trial in state.trials.values() if trial.status == "completed"]
    best = sorted(completed, key=lambda trial: trial.score, reverse=True)[:most]
    uri, found = tracking_uri(spec, folder), {}
    for trial in best:
        try:
            run_id = trial_run_id(uri, started.sweep_id, trial.number, experiment=spec.tracking.experiment)
        except Exception:  # whatever a store that is out of reach makes its client raise: the configs matter more
            break
        if run_id is not None:
            found[trial.number] = run_id
    return found
