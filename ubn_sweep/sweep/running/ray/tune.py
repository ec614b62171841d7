"""The sweep's state as Ray Tune sees it: a searcher that asks it, and a scheduler that tells it.

Tune starts the workers, shares out the machine and brings the reports; what they mean is decided by SweepState, in
Tune's one controller thread. Tune's own snapshots are not used: the journal is exact, they are seconds behind.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import ray.tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ubn_sweep.sweep.deciding.state import SweepState, TrialState
from ubn_sweep.sweep.running.ray.worker import run_tune_trial
from ubn_sweep.sweep.running.trial import Job
from ubn_sweep.sweep.spec.spec import SweepSpec

METRICS_PREFIX = "metrics/"
REASON_LENGTH = 1500


class _NotInTunesSnapshot:
    """Tune pickles its searcher and scheduler for a restore of its own; ours resume from the journal."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class StateSearcher(_NotInTunesSnapshot, Searcher):
    """Hands out the state's next trial."""

    def __init__(self, state: SweepState, checkpoints: Path, deaths: dict[int, str]) -> None:
        super().__init__(metric="score", mode="max")
        self._state = state
        self._checkpoints = checkpoints
        self._deaths = deaths
        self._numbers: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        trial = self._state.next_trial()
        if trial is None:
            return Searcher.FINISHED
        self._numbers[trial_id] = trial.number
        return {"trial": trial.number, "job": self._job(trial).to_json()}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Ends a trial whose worker died too often; Tune tells the scheduler of each death, but us of the last."""
        number = self._numbers.pop(trial_id)
        if error:
            times = self._state.spec.resources.worker_deaths + 1
            reason = f"its worker died {times} times: {self._deaths.get(number, 'no reason is known')}"
            self._state.end(number, "failed", reason)
            forget_checkpoints(self._checkpoints, number)

    def save(self, checkpoint_path: str) -> None:
        """The journal holds all there is to save."""

    def restore(self, checkpoint_path: str) -> None:
        """The journal holds all there is to restore."""

    def _job(self, trial: TrialState) -> Job:
        resources = self._state.spec.resources
        return Job(
            trial=trial.number,
            config=trial.config,
            trainable=self._state.spec.trainable,
            checkpoints=str(checkpoint_folder(self._checkpoints, trial.number)),
            checkpoint_every_epochs=resources.checkpoint_every_epochs,
            threads=resources.cpus_per_trial,
        )


class StateScheduler(_NotInTunesSnapshot, FIFOScheduler):
    """Tells the state of each report and end, and Tune what the state decides."""

    def __init__(self, state: SweepState, checkpoints: Path, deaths: dict[int, str]) -> None:
        super().__init__()
        self._state = state
        self._checkpoints = checkpoints
        self._deaths = deaths

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        number = trial.config["trial"]
        over = False
        if "epoch" in result and not result.get("done"):
            metrics = {
                key.removeprefix(METRICS_PREFIX): float(value)
                for key, value in result.items()
                if key.startswith(METRICS_PREFIX)
            }
            over = self._state.report(number, result["epoch"], metrics, result.get("checkpoint"))
        if "ended" in result:
            self._state.end(number, result["ended"], result.get("reason", ""))
            over = True
        if over:
            forget_checkpoints(self._checkpoints, number)
        return TrialScheduler.STOP if over else TrialScheduler.CONTINUE

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        number = trial.config["trial"]
        self._state.end(number, "failed", "the trainable returned before its last epoch")
        forget_checkpoints(self._checkpoints, number)

    def on_trial_error(self, controller: Any, trial: Any) -> None:
        """A worker died; Tune starts the trial again unless that happens too often."""
        self._deaths[trial.config["trial"]] = _last_words(trial)

    def on_trial_remove(self, controller: Any, trial: Any) -> None:
        """A trial that never ran stays unfinished in the journal, for the next resume."""

    def choose_trial_to_run(self, controller: Any) -> Any:
        """The first waiting trial, among the live ones only: looking through all grows with the sweep."""
        waiting = [trial for trial in controller.get_live_trials() if trial.status == "PENDING"]
        return min(waiting, key=lambda trial: trial.config["trial"], default=None)


def checkpoint_folder(checkpoints: Path, number: int) -> Path:
    return checkpoints / f"{number:04d}"


def forget_checkpoints(checkpoints: Path, number: int) -> None:
    """A trial that is over needs none: the final training begins anew."""
    shutil.rmtree(checkpoint_folder(checkpoints, number), ignore_errors=True)


def _last_words(trial: Any) -> str:
    try:
        text = Path(trial.error_file).read_text()
    except (OSError, TypeError):
        return "no reason is known"
    return text[-REASON_LENGTH:].strip()


def run_with_tune(state: SweepState, *, folder: Path, attempt: int) -> None:
    """Runs what remains of a sweep on the Ray cluster that is connected. Returns when it ended or was interrupted."""
    # Tune looks for the files of its own loggers at the end, and complains of each that is not there.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.CRITICAL)
    checkpoints = folder / "checkpoints"
    deaths: dict[int, str] = {}
    spec = state.spec
    tuner = ray.tune.Tuner(
        ray.tune.with_resources(run_tune_trial, _resources(spec)),
        tune_config=ray.tune.TuneConfig(
            search_alg=StateSearcher(state, checkpoints, deaths),
            scheduler=StateScheduler(state, checkpoints, deaths),
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
            storage_path=str(folder / "ray"),
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
