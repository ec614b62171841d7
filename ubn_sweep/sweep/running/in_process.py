"""Trials one after another in this very process: for tests, for a debugger, for machines without Ray."""

from __future__ import annotations

from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.interruption import Interruption
from ubn_sweep.sweep.running.job import Job, TrialFailedError, run_job
from ubn_sweep.training.trial import Report


class _TrialOverError(BaseException):
    """Leaves a task's `train` from within its report. No Exception, so that the task does not catch it by chance."""


class InProcessExecutor:
    """Runs the trials here. A breakpoint in a task stops in it; a crash of the process ends the sweep, resumable."""

    def check(self) -> None:
        """This process is there."""

    def run(self, dispatch: Dispatch, interruption: Interruption) -> None:
        while not dispatch.over and (job := dispatch.next_job()) is not None:
            _run(dispatch, job)
            interruption.check()


def _run(dispatch: Dispatch, job: Job) -> None:
    def send(report: Report) -> None:
        over = dispatch.take(job.trial, job.attempt, report)
        if over and report.ended != "failed":
            raise _TrialOverError

    try:
        run_job(job, send)
    except (_TrialOverError, TrialFailedError):
        return
    dispatch.returned(job.trial, job.attempt)
