"""One trial as its trainable sees it: a config to train, a checkpoint to go on from, and someone to report to."""

from __future__ import annotations

import json
import math
import os
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.plain_json import dumps
from ubn_sweep.sweep.running.trainables import find_trainable
from ubn_sweep.training.config import TrialConfig

METRICS_FILE = "metrics.json"
REASON_LENGTH = 2000
Send = Callable[[dict[str, Any]], None]
Save = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker is told of a trial, small enough to travel as text."""

    trial: int
    config: dict[str, Any]
    trainable: str
    checkpoints: str
    """Folder for this trial's checkpoints, on storage that all nodes share."""
    checkpoint_every_epochs: int
    threads: int

    def to_json(self) -> str:
        return json.dumps(self.__dict__)

    @staticmethod
    def from_json(text: str) -> Job:
        return Job(**json.loads(text))


class Trial:
    """What a trainable is given.

    After the death of its process, or of the whole sweep, the trainable is started again with the same trial:
    `resume` loads the newest checkpoint and reports its epoch once more, since that report may have been lost.
    The sweep passes over what it knows.
    """

    def __init__(self, job: Job, send: Send) -> None:
        self.number = job.trial
        self.config: TrialConfig = schema.parse(TrialConfig, job.config, source=f"trial {job.trial}")
        self.threads = job.threads
        self._every = job.checkpoint_every_epochs
        self._folder = Path(job.checkpoints)
        self._send = send

    def resume(self, load: Save) -> None:
        """Loads the newest checkpoint, where there is one, with the trainable's own function."""
        checkpoint = newest_checkpoint(self._folder)
        if checkpoint is None:
            return
        load(checkpoint)
        metrics = json.loads((checkpoint / METRICS_FILE).read_text())
        self._send(
            _epoch_message(_epoch_of(checkpoint), {k: float(v) for k, v in metrics.items()}, checkpoint)
        )

    def report(self, epoch: int, metrics: dict[str, float], *, save: Save, diverged: bool = False) -> bool:
        """Reports an epoch, saved before; False means that the trial is over. It may never return, if it is stopped."""
        last = epoch >= self.config.training.epochs
        checkpoint = None
        if epoch % self._every == 0 and not (last or diverged):
            checkpoint = self._save(epoch, metrics, save)
        message = _epoch_message(epoch, metrics, checkpoint)
        if diverged:
            message |= {"ended": "diverged", "reason": f"not finite in epoch {epoch}", "score": math.nan}
        self._send(message)
        return not (last or diverged)

    def _save(self, epoch: int, metrics: dict[str, float], save: Save) -> Path:
        """Writes beside and renames, so that a kill leaves the checkpoint before; then removes that one."""
        target = self._folder / f"epoch-{epoch:05d}"
        beside = self._folder / f"writing-{epoch:05d}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        save(beside)
        (beside / METRICS_FILE).write_text(dumps(metrics))
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
        for old in self._folder.glob("epoch-*"):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)
        return target


def newest_checkpoint(folder: Path) -> Path | None:
    """The whole checkpoint with the highest epoch."""
    return max(folder.glob("epoch-*"), key=_epoch_of, default=None)


def run_job(job: Job, send: Send) -> None:
    """Runs a trial to its end. What the trainable raises becomes the trial's end, `failed`, with its reason.

    So only the death of a process counts as a fault of the machine, after which the trial is started again.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(job.threads))
    try:
        trial = Trial(job, send)
        find_trainable(job.trainable)(trial)
    except Exception as error:
        last = traceback.format_exc()[-REASON_LENGTH:]
        send({"score": math.nan, "ended": "failed", "reason": f"{type(error).__name__}: {error}\n{last}"})


def _epoch_message(epoch: int, metrics: dict[str, float], checkpoint: Path | None) -> dict[str, Any]:
    message: dict[str, Any] = {"score": 0.0, "epoch": epoch, "metrics": metrics}
    return message if checkpoint is None else message | {"checkpoint": str(checkpoint)}


def _epoch_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("epoch-"))
