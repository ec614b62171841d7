"""What Ray runs in a worker process. Kept apart, so that workers import neither Optuna nor the spec."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from typing import Any

from ubn_sweep.sweep.running.job import Job, TrialFailedError, run_job
from ubn_sweep.sweep.running.ray.fitness import lacking
from ubn_sweep.sweep.running.ray.printing import printing_to
from ubn_sweep.training import VISIBLE_GPUS
from ubn_sweep.training.distributed.gang import Gang
from ubn_sweep.training.memory import release_memory
from ubn_sweep.training.trial import Report

REPORT = "report"
"""The key under which a report travels, as one value: Tune keeps windows of every metric that it knows by name."""
UNFIT = "unfit"
"""The key under which it is told that this node cannot train."""
_fits = False
"""Whether this process's node was found to have all that the sweep needs."""
TEARDOWN_S = 60
"""How long a trial that was stopped may take to end before its process is given up."""


def run_tune_trial(config: dict[str, Any], needs: str | None = None) -> None:
    """A function trainable: Tune's config in, `tune.report` out. Raises what makes Tune give up the process.

    Args:
        needs: what this node must have, as fitness.Needs in JSON; None asks for nothing.
    """
    job = Job.from_json(config["job"])
    _look_around(needs)
    with printing_to(
        job.log, job.attempt, f"trial {job.trial}, attempt {job.attempt}, process {os.getpid()}"
    ):
        # Tune reads it here, in the worker, when the next trial wants this process: 2 s would cost that trial its
        # start.
        os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(TEARDOWN_S)
        if job.gpus == 0:
            os.environ[VISIBLE_GPUS] = ""  # Ray leaves it alone: each trial would train on the first GPU
        release_memory()  # of the trial before, whose frames are gone by now
        _run(job)


def _run(job: Job) -> None:
    from ray import tune

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


def _look_around(needs: str | None) -> None:
    """Once a process: a node that joined the sweep while it ran was looked at by nobody.

    Raises:
        TrialFailedError: it lacks something, which the sweep has been told.
    """
    global _fits
    if needs is None or _fits:
        return
    import ray
    from ray import tune

    line = lacking(needs)
    if line is not None:
        node = ray.get_runtime_context().get_node_id()
        tune.report({"score": 0.0, UNFIT: json.dumps({"node_id": node, "line": line})})
        raise TrialFailedError(line)
    _fits = True


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
