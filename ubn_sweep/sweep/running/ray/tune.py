"""The sweep's state as Ray Tune sees it: a searcher that asks it, and a scheduler that tells it.

Tune starts the workers, shares out the machine and brings the reports; what they mean is decided by SweepState, in
Tune's one controller thread. Each of Tune's trials is one attempt at one of ours: what goes wrong is tried again by
the dispatch, under rules of its own. Tune's own snapshots are not used: the journal is exact, they are seconds behind.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

import ray.tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ubn_sweep.records.events import FaultKind
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.interruption import Interruption
from ubn_sweep.sweep.running.job import Job
from ubn_sweep.sweep.running.places import log_place, read_log
from ubn_sweep.sweep.running.ray.apart import Newcomers
from ubn_sweep.sweep.running.ray.capacity import Room
from ubn_sweep.sweep.running.ray.deaths import error_of, last_words, never_began, tail
from ubn_sweep.sweep.running.ray.fitness import Needs
from ubn_sweep.sweep.running.ray.monitor import Monitor
from ubn_sweep.sweep.running.ray.worker import REPORT, UNFIT, run_tune_trial
from ubn_sweep.training.trial import Report

MOST_UNBORN = 20
"""How often a process that could not begin is no fault of its trial's: by then its node should be set apart."""


class _NotInTunesSnapshot:
    """Tune pickles its searcher and scheduler for a restore of its own; ours resume from the journal."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _OverError(Exception):
    """Leaves Tune's loop. Its own way out writes a snapshot of all trials, which nobody reads."""


class StateSearcher(_NotInTunesSnapshot, Searcher):
    """Hands out the dispatch's next job, as long as there is a slot for it, and one more that waits."""

    def __init__(self, dispatch: Dispatch, room: Room, scheduler: StateScheduler) -> None:
        super().__init__(metric="score", mode="max")
        self._dispatch = dispatch
        self._room = room
        self._scheduler = scheduler

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        self._scheduler.find_lost()
        if not self._room.for_one_more(self._dispatch.running_shapes):
            return None
        job = self._dispatch.next_job()
        if job is None:
            # A trial that is out may yet come back to be tried again.
            return None if self._dispatch.running > 0 else Searcher.FINISHED
        return {"trial": job.trial, "attempt": job.attempt, "job": job.to_json()}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The scheduler has been told, with more."""

    def save(self, checkpoint_path: str) -> None:
        """The journal holds all there is to save."""

    def restore(self, checkpoint_path: str) -> None:
        """The journal holds all there is to restore."""


class StateScheduler(_NotInTunesSnapshot, FIFOScheduler):
    """Tells the dispatch of each report and end, and Tune what the state decides."""

    def __init__(self, dispatch: Dispatch, newcomers: Newcomers | None = None) -> None:
        super().__init__()
        self._dispatch = dispatch
        self._newcomers = newcomers
        self._unborn: Counter[int] = Counter()
        self._live: set[Any] = set()
        """Tune's own set of trials that are not over, once Tune has shown it."""
        self._over: list[Any] = []

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if UNFIT in result and self._newcomers is not None:
            self._newcomers.set_apart(**json.loads(result[UNFIT]))
            self._dispatch.lost(*_key(trial))
            return TrialScheduler.CONTINUE  # it raises, and its process is not used again
        if result.get("done") or REPORT not in result:  # Tune repeats a trial's last report at its end
            return TrialScheduler.CONTINUE
        report = Report.from_json(result[REPORT])
        over = self._dispatch.take(*_key(trial), report)
        # A trial that raised goes on by a step, and raises: only then does Tune not use its process again.
        return TrialScheduler.STOP if over and report.ended != "failed" else TrialScheduler.CONTINUE

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._dispatch.returned(*_key(trial))
        self._over.append(trial)

    def on_trial_error(self, controller: Any, trial: Any) -> None:
        """An attempt's process died, unless its trial has failed by what it told before."""
        number, attempt = _key(trial)
        if self._is_unborn(number, trial):
            self._dispatch.lost(number, attempt)
            self._over.append(trial)
            return
        kind, reason = self._why(number, trial)
        self._dispatch.fault(number, attempt, kind, reason)
        self._over.append(trial)

    def on_trial_remove(self, controller: Any, trial: Any) -> None:
        """A trial that never ran stays unfinished in the journal, for the next resume."""

    def choose_trial_to_run(self, controller: Any) -> Any:
        """The first waiting trial, among the live ones only: looking through all grows with the sweep."""
        self._live = controller.get_live_trials()
        for trial in self._over:
            _shrink(trial)
        self._over.clear()
        waiting = [trial for trial in self._live if trial.status == "PENDING"]
        return min(waiting, key=lambda trial: trial.config["trial"], default=None)

    def find_lost(self) -> None:
        """Tune tells nobody of a trial whose process would not let go of the trial before it."""
        for trial in [trial for trial in self._live if trial.status == "ERROR"]:
            self._dispatch.lost(*_key(trial))
            self._live.discard(trial)
            self._over.append(trial)

    def _is_unborn(self, number: int, trial: Any) -> bool:
        """Whether a process could not begin, on a node that joined and lacks something: no fault of the trial's."""
        if self._newcomers is None or not never_began(error_of(trial)):
            return False
        self._unborn[number] += 1
        return self._unborn[number] <= MOST_UNBORN

    def _why(self, number: int, trial: Any) -> tuple[FaultKind, str]:
        timeout_s = self._dispatch.state.spec.resources.epoch_timeout_s
        spec, folder = self._dispatch.state.spec, self._dispatch.folder
        printed = tail(read_log(spec, folder, number))
        if timeout_s is not None and self._dispatch.silent_s(number) >= timeout_s:
            return (
                "stuck",
                f"it reported nothing for {timeout_s:g} s (where it hung is in {log_place(spec, folder, number)})"
                f"\n{printed}",
            )
        return "died", f"{last_words(error_of(trial))}\n{printed}".strip()


class _Ending(_NotInTunesSnapshot, ray.tune.Stopper):
    """Tune asks it in each step whether the whole sweep is over."""

    def __init__(self, dispatch: Dispatch, interruption: Interruption, monitor: Monitor) -> None:
        self._dispatch = dispatch
        self._interruption = interruption
        self._monitor = monitor

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self._interruption.check()
        self._monitor.look()
        if self._dispatch.over:
            raise _OverError
        return False


def _key(trial: Any) -> tuple[int, str]:
    return trial.config["trial"], trial.config["attempt"]


def _shrink(trial: Any) -> None:
    """Drops what Tune keeps of a trial that is over: windows of its numbers, its last report, its whole config."""
    trial.run_metadata.metric_analysis.clear()
    trial.run_metadata.metric_n_steps.clear()
    trial.run_metadata.last_result = {}
    trial.run_metadata.invalidate_cache()
    for content in (trial.config, trial.evaluated_params):
        content.pop("job", None)


def run_with_tune(
    dispatch: Dispatch,
    interruption: Interruption,
    monitor: Monitor,
    *,
    needs: Needs | None = None,
    newcomers: Newcomers | None = None,
) -> None:
    """Runs what remains of a sweep on the Ray cluster that is connected; returns when it is over, or must stop.

    Args:
        monitor: is told that time passes.
        needs: what each process looks for on its node, before its first trial; None looks for nothing.
        newcomers: sets nodes apart that lack it; given with `needs`.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    # Tune looks for the files of its own loggers at the end, and complains of each that is not there.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.CRITICAL)
    spec = dispatch.state.spec
    room = Room(spec, newcomers, dispatch.tell)
    # Tune starts as many processes at once, and for a searcher that is not its own one after another.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(room.most())
    with suppress(_OverError):
        ending = _Ending(dispatch, interruption, monitor)
        _tuner(dispatch, room, ending, needs, StateScheduler(dispatch, newcomers)).fit()
        raise RuntimeError("Ray Tune ended before its trials did: go on by a resume")


def _tuner(
    dispatch: Dispatch,
    room: Room,
    ending: _Ending,
    needs: Needs | None,
    scheduler: StateScheduler,
) -> Any:
    trainable = run_tune_trial
    if needs is not None:
        trainable = ray.tune.with_parameters(run_tune_trial, needs=needs.to_json())
    return ray.tune.Tuner(
        ray.tune.with_resources(trainable, _resources),
        tune_config=ray.tune.TuneConfig(
            search_alg=StateSearcher(dispatch, room, scheduler),
            scheduler=scheduler,
            metric="score",
            mode="max",
            num_samples=sys.maxsize,  # the searcher says when it is over
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=ray.tune.RunConfig(
            name=f"attempt-{dispatch.attempt:03d}",
            storage_path=str(dispatch.folder.ray),
            stop=ending,
            verbose=0,
            failure_config=ray.tune.FailureConfig(max_failures=0),
        ),
    )


def _trial_name(trial: Any) -> str:
    return f"trial-{trial.config['trial']:04d}-{trial.config['attempt']}"


def _resources(config: dict[str, Any]) -> ray.tune.PlacementGroupFactory:
    """A bundle for each worker; the first is the trial's own process, rank 0."""
    job = Job.from_json(config["job"])
    bundle: dict[str, float] = {"CPU": job.threads}
    if job.gpus > 0:
        bundle["GPU"] = job.gpus
    return ray.tune.PlacementGroupFactory([bundle] * job.workers)
