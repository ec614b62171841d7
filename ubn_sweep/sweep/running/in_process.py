"""Trials one after another in this very process: for tests, for a debugger, for machines without Ray."""

from __future__ import annotations

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.job import Job, run_job
from ubn_sweep.training.trial import Report


class _TrialOverError(BaseException):
    """Leaves a task's `train` from within its report. No Exception, so that the task does not catch it by chance."""


class InProcessExecutor:
    """Runs the trials here. A breakpoint in a task stops in it; a crash of the process ends the sweep, resumable."""

    def check(self) -> None:
        """This process is there."""

    def run(self, state: SweepState, *, folder: SweepFolder, attempt: int) -> None:
        dispatch = Dispatch(state, folder)
        try:
            while (job := dispatch.next_job()) is not None:
                _run(dispatch, job)
        except KeyboardInterrupt:
            return  # what ran stays unfinished in the journal, for the next resume


def _run(dispatch: Dispatch, job: Job) -> None:
    def send(report: Report) -> None:
        if dispatch.take(job.trial, report):
            raise _TrialOverError

    try:
        run_job(job, send)
    except _TrialOverError:
        return
    dispatch.returned(job.trial)
