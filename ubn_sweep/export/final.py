"""The final training: a config at full budget on train + validation, then one look at the test set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ubn_sweep import schema
from ubn_sweep.errors import DivergedError, UserError
from ubn_sweep.training.task import Run, Task

CHECKPOINT_FOLDER = "checkpoint"
RESULT_FILE = "result.json"


class Recorder(Protocol):
    """Who is told of each epoch: MLflow, the terminal."""

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
    out: Path,
    recorders: tuple[Recorder, ...] = (),
    threads: int | None = None,
    started: Callable[[Run], None] = lambda run: None,
) -> FinalResult:
    """Trains on train + validation and tests once. Interrupted, it goes on from the last epoch when called again.

    Raises:
        UserError: the data is not there, the folder holds another config's training or cannot be written, or the
            training diverged.
    """
    run = task.start(config, threads=threads, hold_out=False)
    checkpoint = out / CHECKPOINT_FOLDER
    if checkpoint.is_dir():
        run.load(checkpoint)
    resumed_from = run.epoch
    started(run)
    while run.epoch < config.training.epochs:
        metrics = run.train_epoch()
        if run.diverged:
            raise DivergedError(
                f"{out}: the training diverged in epoch {run.epoch}: lower optimizer.lr, or take another config"
            )
        run.save(checkpoint)
        for recorder in recorders:
            recorder.epoch(run.epoch, metrics)
    test = run.evaluate_test()
    (out / RESULT_FILE).write_text(
        json.dumps({"task": task.name, "config": schema.to_plain(config), "test": test}, indent=1) + "\n"
    )
    return FinalResult(
        test=test,
        checkpoint=checkpoint,
        epochs=run.epoch,
        test_examples=run.test_examples,
        resumed_from=resumed_from,
    )


def prepare_folder(out: Path, config: Any) -> None:
    """Creates the run's folder and writes its config there.

    Raises:
        UserError: it cannot be written, or holds the training of another config.
    """
    text = schema.dump_yaml(schema.to_plain(config))
    path = out / "config.yaml"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise UserError(f"--out: {out} holds the training of another config: choose another folder")
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--out: {out} cannot be written ({error.strerror}): choose a folder that you may write to"
        ) from error
