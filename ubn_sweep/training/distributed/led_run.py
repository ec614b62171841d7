"""A run by several workers of this machine, which looks to its owner as a run by one: for who trains without Ray."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.training.distributed.gang import WorkerFailedError
from ubn_sweep.training.distributed.local import LocalGang
from ubn_sweep.training.finding import find_task
from ubn_sweep.training.run import Run
from ubn_sweep.training.task import Task

TRAIN, VALIDATE, TEST, LOAD = "train", "validate", "test", "load "
PATIENCE_S = 300.0


@contextmanager
def started_run(
    task: Task,
    config: Any,
    *,
    workers: int,
    threads: int | None = None,
    hold_out: bool = True,
    timeout_s: float = PATIENCE_S,
) -> Iterator[Run]:
    """A run from its beginning, by so many processes; by this one alone where it is 1.

    Args:
        threads: of each worker; None leaves one alone as PyTorch is set up, and shares the processors among several.
        timeout_s: how long workers wait for each other.

    Raises:
        UserError: as `Task.start`, or another worker failed, or the machine has fewer GPUs than workers.
    """
    task.check_workers(workers)
    if workers == 1:
        yield task.start(config, threads=threads, hold_out=hold_out)
        return
    from ubn_sweep.training.distributed.lead import leading  # needs torch

    threads = max(1, len(os.sched_getaffinity(0)) // workers) if threads is None else threads
    wanted = {"task": task.name, "folder": task.folder, "threads": threads, "hold_out": hold_out}
    payload = json.dumps({**wanted, "config": schema.to_plain(config)})
    work = f"{__name__}:{follow_run.__name__}"
    try:
        with (
            LocalGang() as gang,
            leading(gang, count=workers, work=work, payload=payload, timeout_s=timeout_s) as tell,
        ):
            yield LedRun(task.start(config, threads=threads, hold_out=hold_out), tell)
    except WorkerFailedError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{reason}: the same command goes on from the last epoch") from error


class LedRun(Run):
    """Rank 0's run, which lets the other workers do what it is asked to. It alone saves."""

    def __init__(self, run: Run, tell: Callable[[str], None]) -> None:
        self._run, self._tell = run, tell

    @property
    def epoch(self) -> int:  # type: ignore[override]
        return self._run.epoch

    @property
    def test_examples(self) -> int | None:  # type: ignore[override]
        return self._run.test_examples

    @property
    def diverged(self) -> bool:
        return self._run.diverged

    @property
    def summary(self) -> str:
        return self._run.summary

    @property
    def correct(self) -> Any:
        return self._run.correct

    def train_epoch(self) -> dict[str, float]:
        self._tell(TRAIN)
        return self._run.train_epoch()

    def evaluate_validation(self) -> dict[str, float]:
        self._tell(VALIDATE)
        return self._run.evaluate_validation()

    def evaluate_test(self) -> dict[str, float]:
        self._tell(TEST)
        return self._run.evaluate_test()

    def save(self, folder: Path) -> None:
        self._run.save(folder)

    def load(self, folder: Path) -> None:
        self._run.load(folder)
        self._tell(f"{LOAD}{folder.absolute()}")


def follow_run(payload: str) -> Callable[[Callable[[], str]], None]:
    """The part of a worker behind rank 0: the same run, and what rank 0 tells it to do, until all is over."""
    wanted = json.loads(payload)
    task = find_task(wanted["task"], wanted["folder"])
    config: Any = schema.parse(task.Config, wanted["config"], source="rank 0's config")

    def train(hear: Callable[[], str]) -> None:
        run = task.start(config, threads=wanted["threads"], hold_out=wanted["hold_out"])
        done: dict[str, Callable[[], object]] = {
            TRAIN: run.train_epoch,
            VALIDATE: run.evaluate_validation,
            TEST: run.evaluate_test,
        }
        while True:
            word = hear()
            if word.startswith(LOAD):
                run.load(Path(word.removeprefix(LOAD)))
            else:
                done[word]()

    return train
