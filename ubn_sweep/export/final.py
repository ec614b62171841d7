"""The final training: a config at full budget on train + validation, then one look at the test set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ubn_sweep import schema
from ubn_sweep.errors import DivergedError, ForeignCheckpointError, UserError
from ubn_sweep.files import write_text
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.training.checkpoint_folder import CheckpointFolder
from ubn_sweep.training.distributed.led_run import started_run
from ubn_sweep.training.metrics import as_numbers
from ubn_sweep.training.run import Run
from ubn_sweep.training.task import Task


class Recorder(Protocol):
    """Who is told of each epoch, before its checkpoint is written: the journal, the terminal."""

    def epoch(self, epoch: int, metrics: dict[str, float]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class FinalResult:
    """What the final training came to."""

    test: dict[str, float]
    """What the task reports of the test set."""
    checkpoint: Path
    epochs: int
    test_examples: int | None
    resumed_from: int
    """The epoch from which an interrupted training went on; 0 for none."""


def train_for_good(
    task: Task,
    config: Any,
    *,
    folder: FinalFolder,
    recorders: tuple[Recorder, ...] = (),
    workers: int = 1,
    threads: int | None = None,
    started: Callable[[Run], None] = lambda run: None,
    testing: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda line: None,
) -> FinalResult:
    """Trains on train + validation and tests once. Interrupted, it goes on from the last epoch when called again.

    Args:
        workers: processes that train together.
        testing: called when all is trained, before the test set is looked at.
        tell: takes a line where a checkpoint is broken, and the one before is taken.

    Raises:
        UserError: the data is not there, the folder holds another config's training, no checkpoint in it can be
            loaded, it cannot be written, a worker failed, or the training diverged.
    """
    begun: list[int] = []

    def begin(run: Run) -> None:
        begun.append(run.epoch)
        started(run)

    with started_run(task, config, workers=workers, threads=threads, hold_out=False) as run:
        _, checkpoint = trained(run, config, folder.checkpoint, recorders=recorders, started=begin, tell=tell)
        testing()
        test = as_numbers(run.evaluate_test())
        epochs, test_examples = run.epoch, run.test_examples
    write_result(folder, task, config, test=test)
    return FinalResult(
        test=test,
        checkpoint=checkpoint,
        epochs=epochs,
        test_examples=test_examples,
        resumed_from=begun[0],
    )


def trained(
    run: Run,
    config: Any,
    folder: Path,
    *,
    recorders: tuple[Recorder, ...],
    started: Callable[[Run], None],
    tell: Callable[[str], None],
) -> tuple[dict[str, float], Path]:
    """Trains a run to its last epoch, from the newest checkpoint in a folder on. Returns the last epoch's metrics,
    none where it was trained before, and the checkpoint.

    Raises:
        DivergedError: the training diverged.
    """
    checkpoints = CheckpointFolder(folder)
    newest = _load(checkpoints, run, tell)
    started(run)
    metrics: dict[str, float] = {}
    while run.epoch < config.training.epochs:
        metrics = as_numbers(run.train_epoch())
        if run.diverged:
            raise DivergedError(
                f"{folder.parent}: the training diverged in epoch {run.epoch}: lower optimizer.lr, or take another "
                "config"
            )
        # Told first: a kill before the checkpoint trains the epoch again, which the record passes over; the other
        # way round it would never be told.
        for recorder in recorders:
            recorder.epoch(run.epoch, metrics)
        newest = checkpoints.save(run.epoch, run.save)
    checkpoints.keep_newest()
    return metrics, newest if newest is not None else folder


def write_result(
    folder: FinalFolder, task: Task, config: Any, *, test: dict[str, float], **more: Any
) -> None:
    """`result.json`: what was trained, what the test said, and whatever else is known by then."""
    content = {"task": task.name, "config": schema.to_plain(config), "test": test, **more}
    write_text(folder.result, json.dumps(with_nulls(content), indent=1) + "\n")


def _load(checkpoints: CheckpointFolder, run: Run, tell: Callable[[str], None]) -> Path | None:
    """Nothing is thrown away for an error, which may be this machine's: hours may lie in a checkpoint."""
    try:
        return checkpoints.load_newest(run.load, tell)
    except ForeignCheckpointError:
        raise
    except Exception as error:
        raise UserError(
            f"{checkpoints.path}: no checkpoint can be loaded ({type(error).__name__}: {error}): remove that folder "
            "to begin anew"
        ) from error


def prepare_folder(folder: FinalFolder, config: Any) -> None:
    """Creates the run's folder and writes its config there.

    Raises:
        UserError: it cannot be written, or holds the training of another config.
    """
    content = schema.to_plain(config)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        there = _recorded(folder, type(config))
        if there is not None and {**there, "provenance": None} != {**content, "provenance": None}:
            raise UserError(
                f"--out: {folder.path} holds the training of another config: choose another folder"
            )
        write_text(folder.config, schema.dump_yaml(content))
    except OSError as error:
        raise UserError(
            f"--out: {folder.path} cannot be written ({error.strerror}): choose a folder that you may write to"
        ) from error


def _recorded(folder: FinalFolder, kind: type) -> dict[str, Any] | None:
    """The config that was trained there, with today's defaults for options that there were none of then."""
    if not folder.config.exists():
        return None
    there: dict[str, Any] = schema.load_yaml(folder.config)[0]
    try:
        return schema.to_plain(schema.parse(kind, there, source=str(folder.config)))
    except UserError:  # it has options that are gone, or is of another task
        return there
