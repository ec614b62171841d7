"""Between the deciding and whoever runs trials: jobs go out, reports come back."""

from __future__ import annotations

import shutil

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState, TrialState
from ubn_sweep.sweep.running.control import TrialOrders
from ubn_sweep.sweep.running.job import Job
from ubn_sweep.training.trial import Report

STOPPED_BY_USER = "stopped by the user"


class Dispatch:
    """Hands out the state's next trial as a job, and tells the state what came of it.

    One thread calls it: the controller's. A trial that is over needs no checkpoints: the final training begins anew.
    """

    def __init__(self, state: SweepState, folder: SweepFolder) -> None:
        self.state = state
        self._folder = folder
        self._orders = TrialOrders(folder)

    def next_job(self) -> Job | None:
        """The next trial; None when all have been handed out."""
        while (trial := self.state.next_trial()) is not None and self._ends(trial.number):
            pass
        return None if trial is None else self._job(trial)

    def take(self, number: int, report: Report) -> bool:
        """Takes a trial's report; True means that the trial is over and must stop."""
        over = False
        if report.epoch is not None:
            over = self.state.report(number, report.epoch, report.metrics, report.checkpoint)
        if report.ended is not None:
            self.state.end(number, report.ended, report.reason)
            over = True
        over = self._ends(number) or over
        if over:
            self._forget(number)
        return over

    def returned(self, number: int) -> None:
        """The task's `train` came back; where the trial is not over by then, it has failed."""
        self.failed(number, "the task returned before its last epoch")

    def failed(self, number: int, reason: str) -> None:
        """A trial is over, unless it was already."""
        self.state.end(number, "failed", reason)
        self._forget(number)

    def _ends(self, number: int) -> bool:
        """Whether the user wants a trial to end, which it then does; what it reported stays."""
        ends = self._orders.ends(number)
        if ends:
            self.state.end(number, "stopped", STOPPED_BY_USER)
            self._forget(number)
        return ends

    def _job(self, trial: TrialState) -> Job:
        spec = self.state.spec
        return Job(
            trial=trial.number,
            config=trial.config,
            task=spec.task,
            task_folder=spec.task_folder,
            checkpoints=str(self._folder.checkpoint(trial.number)),
            checkpoint_every_epochs=spec.resources.checkpoint_every_epochs,
            threads=spec.resources.cpus_per_trial,
        )

    def _forget(self, number: int) -> None:
        shutil.rmtree(self._folder.checkpoint(number), ignore_errors=True)
