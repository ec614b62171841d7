"""A trial on its way to the process that runs it."""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import dataclass
from typing import Any

from ubn_sweep import schema
from ubn_sweep.training.finding import find_task
from ubn_sweep.training.memory import is_out_of_memory, out_of_memory_in_words
from ubn_sweep.training.trial import Report, Send, Trial

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
    threads: int
    gpus: float
    timeout_s: float | None
    """How long it may report nothing, where it has a process of its own."""

    def to_json(self) -> str:
        return json.dumps(self.__dict__)

    @staticmethod
    def from_json(text: str) -> Job:
        return Job(**json.loads(text))


class TrialFailedError(Exception):
    """A trial failed, and its sweep has been told: for who runs it, to give up the process."""


def run_job(job: Job, send: Send) -> None:
    """Runs a trial to its end.

    Raises:
        TrialFailedError: the task raised; the sweep has been told why.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(job.threads))
    try:
        task = find_task(job.task, job.task_folder)
        task.train(_trial(job, task.Config, send))
    except Exception as error:
        send(failure(error, job.config))
        raise TrialFailedError from error


def failure(error: Exception, config: dict[str, Any]) -> Report:
    """What is told of a task that raised: the error in the first line, then the end of its traceback."""
    last = traceback.format_exc()[-REASON_LENGTH:]
    if not is_out_of_memory(error):
        return Report(ended="failed", reason=f"{type(error).__name__}: {error}\n{last}")
    return Report(ended="failed", kind="memory", reason=f"{out_of_memory_in_words(error, config)}\n{last}")


def _trial(job: Job, schema_of_task: type, send: Send) -> Trial:
    return Trial(
        job.trial,
        schema.parse(schema_of_task, job.config, source=f"trial {job.trial}"),
        threads=job.threads,
        checkpoints=job.checkpoints,
        every_epochs=job.checkpoint_every_epochs,
        send=send,
        attempt=job.attempt,
        known_epoch=job.known_epoch,
        keep_final=job.keep_final,
    )
