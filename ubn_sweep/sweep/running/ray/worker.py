"""What Ray runs in a worker process. Kept apart, so that workers import neither Optuna nor the spec."""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from ubn_sweep.sweep.running.job import Job, TrialFailedError, run_job
from ubn_sweep.sweep.running.ray.printing import print_to
from ubn_sweep.training.distributed.gang import Gang
from ubn_sweep.training.memory import release_memory
from ubn_sweep.training.trial import Report

REPORT = "report"
"""The key under which a report travels, as one value: Tune keeps windows of every metric that it knows by name."""
TEARDOWN_S = 60
"""How long a trial that was stopped may take to end before its process is given up."""


def run_tune_trial(config: dict[str, Any]) -> None:
    """A function trainable: Tune's config in, `tune.report` out. Raises what makes Tune give up the process."""
    from ray import tune

    job = Job.from_json(config["job"])
    print_to(Path(job.log), f"trial {job.trial}, attempt {job.attempt}, process {os.getpid()}")
    # Tune reads it here, in the worker, when the next trial wants this process: 2 s would cost that trial its start.
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(TEARDOWN_S)
    if job.gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = (
            ""  # Ray leaves it alone: each trial would train on the first GPU
        )
    release_memory()  # of the trial before, whose frames are gone by now

    def send(report: Report) -> None:
        # The time that the sweep takes to answer is no silence of the trial's.
        faulthandler.cancel_dump_traceback_later()
        tune.report({"score": 0.0, REPORT: report.to_json()})
        _watch(job)

    _watch(job)
    try:
        run_job(job, send, _gang, give_up=_give_up)
    except TrialFailedError:
        traceback.print_exc()  # into the trial's log
        raise
    finally:
        faulthandler.cancel_dump_traceback_later()


def _watch(job: Job) -> None:
    """A trial that hangs writes where into its log, and ends with its process: no Python code could do it then."""
    if job.timeout_s is not None:
        faulthandler.dump_traceback_later(job.timeout_s, exit=True, file=2)


def _gang(job: Job) -> Gang:
    from ubn_sweep.sweep.running.ray.gang import gang_of

    return gang_of(job)


def _give_up(reason: str) -> None:
    """Ends a process that waits, in vain and without end, for a worker that is gone. Its log says why."""
    print(reason, file=sys.stderr, flush=True)
    os._exit(1)
