"""A trial on its way to the process that runs it."""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.training.tasks import find_task
from ubn_sweep.training.trial import Report, Send, Trial

REASON_LENGTH = 2000


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker is told of a trial, small enough to travel as text."""

    trial: int
    config: dict[str, Any]
    task: str
    task_folder: str | None
    """Where the task's module lies, if not in the current folder or installed."""
    checkpoints: str
    """Folder for this trial's checkpoints, on storage that all nodes share."""
    checkpoint_every_epochs: int
    threads: int

    def to_json(self) -> str:
        return json.dumps(self.__dict__)

    @staticmethod
    def from_json(text: str) -> Job:
        return Job(**json.loads(text))


def run_job(job: Job, send: Send) -> None:
    """Runs a trial to its end. What the task raises becomes the trial's end, `failed`, with its reason.

    So only the death of a process counts as a fault of the machine, after which the trial is started again.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(job.threads))
    try:
        task = find_task(job.task, job.task_folder)
        task.train(_trial(job, task.Config, send))
    except Exception as error:
        last = traceback.format_exc()[-REASON_LENGTH:]
        send(Report(ended="failed", reason=f"{type(error).__name__}: {error}\n{last}"))


def _trial(job: Job, schema_of_task: type, send: Send) -> Trial:
    return Trial(
        job.trial,
        schema.parse(schema_of_task, job.config, source=f"trial {job.trial}"),
        threads=job.threads,
        checkpoints=Path(job.checkpoints),
        every_epochs=job.checkpoint_every_epochs,
        send=send,
    )
