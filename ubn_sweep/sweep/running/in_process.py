"""Trials one after another in this very process: for tests, for a debugger, for machines without Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.interruption import Interruption
from ubn_sweep.sweep.running.job import Job, TrialFailedError, run_job
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training import VISIBLE_GPUS
from ubn_sweep.training.distributed.local import LocalGang
from ubn_sweep.training.trial import Report


class _TrialOverError(BaseException):
    """Leaves a task's `train` from within its report. No Exception, so that the task does not catch it by chance."""


class InProcessExecutor:
    """Runs the trials here. A breakpoint in a task stops in it; a crash of the process ends the sweep, resumable."""

    def check(self, spec: SweepSpec, home: Path) -> None:
        """This process is there."""

    def run(self, dispatch: Dispatch, interruption: Interruption) -> None:
        takes_gpus = any(shape.gpus > 0 for shape in dispatch.state.spec.shapes)
        # The gang: the workers behind this process, where trials have several.
        with _devices(takes_gpus), LocalGang() as gang:
            while not dispatch.over and (job := dispatch.next_job()) is not None:
                _run(dispatch, job, gang)
                interruption.check()


@contextmanager
def _devices(takes_gpus: bool) -> Iterator[None]:
    """A trial that takes no GPU sees none, here as on Ray."""
    before = os.environ.get(VISIBLE_GPUS)
    if not takes_gpus:
        os.environ[VISIBLE_GPUS] = ""
    try:
        yield
    finally:
        if before is not None:
            os.environ[VISIBLE_GPUS] = before
        elif not takes_gpus:
            os.environ.pop(VISIBLE_GPUS, None)


def _run(dispatch: Dispatch, job: Job, gang: LocalGang) -> None:
    def send(report: Report) -> None:
        over = dispatch.take(job.trial, job.attempt, report)
        if over and report.ended != "failed":
            raise _TrialOverError

    try:
        run_job(job, send, lambda job: gang)
    except (_TrialOverError, TrialFailedError):
        return
    dispatch.returned(job.trial, job.attempt)
