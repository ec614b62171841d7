"""The sweep's state as Ray Tune sees it: a searcher that asks it, and a scheduler that tells it.

Tune starts the workers, shares out the machine and brings the reports; what they mean is decided by SweepState, in
Tune's one controller thread. Tune's own snapshots are not used: the journal is exact, they are seconds behind.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import ray.tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.ray.worker import REPORT, run_tune_trial
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training.trial import Report

REASON_LENGTH = 1500


class _NotInTunesSnapshot:
    """Tune pickles its searcher and scheduler for a restore of its own; ours resume from the journal."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class StateSearcher(_NotInTunesSnapshot, Searcher):
    """Hands out the state's next trial."""

    def __init__(self, dispatch: Dispatch, deaths: dict[int, str]) -> None:
        super().__init__(metric="score", mode="max")
        self._dispatch = dispatch
        self._deaths = deaths
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        job = self._dispatch.next_job()
        if job is None:
            return Searcher.FINISHED
        self._numbers[trial_id] = job.trial
        return {"trial": job.trial, "job": job.to_json()}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Ends a trial whose worker died too often; Tune tells the scheduler of each death, but us of the last."""
        number = self._numbers.pop(trial_id)
        if error:
            times = self._dispatch.state.spec.resources.worker_deaths + 1
            why = self._deaths.get(number, "no reason is known")
            self._dispatch.failed(number, f"its worker died {times} times: {why}")

    def save(self, checkpoint_path: str) -> None:
        """The journal holds all there is to save."""

    def restore(self, checkpoint_path: str) -> None:
        """The journal holds all there is to restore."""


class StateScheduler(_NotInTunesSnapshot, FIFOScheduler):
    """Tells the state of each report and end, and Tune what the state decides."""

    def __init__(self, dispatch: Dispatch, deaths: dict[int, str]) -> None:
        super().__init__()
        self._dispatch = dispatch
        self._deaths = deaths

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if result.get("done") or REPORT not in result:  # Tune repeats a trial's last report at its end
            return TrialScheduler.CONTINUE
        over = self._dispatch.take(trial.config["trial"], Report.from_json(result[REPORT]))
        return TrialScheduler.STOP if over else TrialScheduler.CONTINUE

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._dispatch.returned(trial.config["trial"])

    def on_trial_error(self, controller: Any, trial: Any) -> None:
        """A worker died; Tune starts the trial again unless that happens too often."""
        self._deaths[trial.config["trial"]] = _last_words(trial)

    def on_trial_remove(self, controller: Any, trial: Any) -> None:
        """A trial that never ran stays unfinished in the journal, for the next resume."""

    def choose_trial_to_run(self, controller: Any) -> Any:
        """The first waiting trial, among the live ones only: looking through all grows with the sweep."""
        waiting = [trial for trial in controller.get_live_trials() if trial.status == "PENDING"]
        return min(waiting, key=lambda trial: trial.config["trial"], default=None)


def _last_words(trial: Any) -> str:
    try:
        text = Path(trial.error_file).read_text()
    except (OSError, TypeError):
        return "no reason is known"
    return text[-REASON_LENGTH:].strip()


def run_with_tune(state: SweepState, *, folder: SweepFolder, attempt: int) -> None:
    """Runs what remains of a sweep on the Ray cluster that is connected. Returns when it ended or was interrupted."""
    # Tune looks for the files of its own loggers at the end, and complains of each that is not there.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.CRITICAL)
    dispatch = Dispatch(state, folder)
    deaths: dict[int, str] = {}
    spec = state.spec
    tuner = ray.tune.Tuner(
        ray.tune.with_resources(run_tune_trial, _resources(spec)),
        tune_config=ray.tune.TuneConfig(
            search_alg=StateSearcher(dispatch, deaths),
            scheduler=StateScheduler(dispatch, deaths),
            metric="score",
            mode="max",
            num_samples=state.remaining,
            max_concurrent_trials=spec.resources.max_concurrent,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=ray.tune.RunConfig(
            name=f"attempt-{attempt:03d}",
            storage_path=str(folder.ray),
            verbose=0,
            failure_config=ray.tune.FailureConfig(max_failures=spec.resources.worker_deaths),
        ),
    )
    tuner.fit()


def _trial_name(trial: Any) -> str:
    return f"trial-{trial.config['trial']:04d}"


def _resources(spec: SweepSpec) -> dict[str, float]:
    resources: dict[str, float] = {"cpu": spec.resources.cpus_per_trial}
    if spec.resources.gpus_per_trial > 0:
        resources["gpu"] = spec.resources.gpus_per_trial
    return resources
