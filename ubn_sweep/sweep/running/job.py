"""A trial on its way to the process that runs it."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ubn_sweep import schema
from ubn_sweep.training.distributed.gang import Gang, WorkerFailedError
from ubn_sweep.training.finding import find_task
from ubn_sweep.training.memory import is_out_of_memory, out_of_memory_in_words
from ubn_sweep.training.trial import FollowingTrial, Report, Send, Trial

REASON_LENGTH = 2000


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker is told of a trial, small enough to travel as text."""

    trial: int
    attempt: str
    """Which start of this trial it is: `002-01` is the first one in the second life of the sweep."""
    known_epoch: int
    """The last one that the sweep has heard of."""
    config: dict[str, Any]
    task: str
    task_folder: str | None
    """Where the task's module lies, if not in the current folder or installed."""
    checkpoints: str
    """Folder for this trial's checkpoints, on storage that all nodes share, or a URL."""
    checkpoint_every_epochs: int
    keep_final: bool
    """Whether the last epoch is saved, too."""
    log: str
    """File, or URL, for what the trial prints, where it has a process of its own."""
    workers: int
    """Processes that train it together."""
    threads: int
    """Of each worker."""
    gpus: float
    """Of each worker."""
    timeout_s: float | None
    """How long it may report nothing, where it has a process of its own."""
    worker_timeout_s: float
    """How long the workers wait for each other."""

    def to_json(self) -> str:
        return json.dumps(self.__dict__)

    @staticmethod
    def from_json(text: str) -> Job:
        return Job(**json.loads(text))


class TrialFailedError(Exception):
    """A trial failed, and its sweep has been told: for who runs it, to give up the process."""


def run_job(
    job: Job, send: Send, gang: Callable[[Job], Gang], *, give_up: Callable[[str], None] | None = None
) -> None:
    """Runs a trial to its end, with the help of a gang where it has several workers.

    Args:
        give_up: ends this process with a reason, where another worker failed and this one waits on nevertheless.

    Raises:
        TrialFailedError: the task raised, or another worker failed; the sweep has been told why.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(job.threads))
    try:
        if job.workers == 1:
            task = find_task(job.task, job.task_folder)
            task.train(_trial(job, task.Config, send))
        else:
            _lead(job, send, gang(job), give_up)
    except Exception as error:
        send(failure(error, job.config))
        raise TrialFailedError from error


def follow_job(payload: str) -> Callable[[Callable[[], str]], None]:
    """The part of a worker behind rank 0 in a trial: the same loop, by the words of rank 0."""
    job = Job.from_json(payload)
    os.environ.setdefault("OMP_NUM_THREADS", str(job.threads))
    task = find_task(job.task, job.task_folder)
    config = _config(job, task.Config)

    def train(hear: Callable[[], str]) -> None:
        task.train(
            FollowingTrial(job.trial, config, threads=job.threads, checkpoints=job.checkpoints, hear=hear)
        )

    return train


def _lead(job: Job, send: Send, gang: Gang, give_up: Callable[[str], None] | None) -> None:
    from ubn_sweep.training.distributed.lead import leading  # needs torch, which a task of one worker may not

    task = find_task(job.task, job.task_folder)
    with leading(
        gang,
        count=job.workers,
        work=f"{__name__}:{follow_job.__name__}",
        payload=job.to_json(),
        timeout_s=job.worker_timeout_s,
        whole_gpus=job.gpus >= 1,
        give_up=give_up,
    ) as tell:
        task.train(_trial(job, task.Config, send, tell))


def failure(error: Exception, config: dict[str, Any]) -> Report:
    """What is told of a task that raised: the error in the first line, then the end of its traceback."""
    if isinstance(error, WorkerFailedError):
        return Report(ended="failed", kind=error.kind, reason=str(error))
    last = traceback.format_exc()[-REASON_LENGTH:]
    if not is_out_of_memory(error):
        return Report(ended="failed", reason=f"{type(error).__name__}: {error}\n{last}")
    return Report(ended="failed", kind="memory", reason=f"{out_of_memory_in_words(error, config)}\n{last}")


def _trial(
    job: Job, schema_of_task: type, send: Send, tell: Callable[[str], None] = lambda word: None
) -> Trial:
    return Trial(
        job.trial,
        _config(job, schema_of_task),
        threads=job.threads,
        checkpoints=job.checkpoints,
        every_epochs=job.checkpoint_every_epochs,
        send=send,
        attempt=job.attempt,
        known_epoch=job.known_epoch,
        keep_final=job.keep_final,
        tell=tell,
    )


def _config(job: Job, schema_of_task: type) -> Any:
    return schema.parse(schema_of_task, job.config, source=f"trial {job.trial}")
