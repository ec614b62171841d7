"""The final training: a config at full budget on train + validation, then one look at the test set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ubn_sweep import schema
from ubn_sweep.errors import DivergedError, UserError
from ubn_sweep.files import write_text
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.training.config import TrialConfig

if TYPE_CHECKING:
    from ubn_sweep.training.classification.run import TrainingRun


class Recorder(Protocol):
    """Who is told of each epoch, before its checkpoint is written: the journal, the terminal."""

    def epoch(self, epoch: int, metrics: dict[str, float]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class FinalResult:
    """What the final training came to."""

    test: dict[str, float]
    """test_top1 (0 to 1), test_loss, and test_top5 with more than five classes."""
    checkpoint: Path
    epochs: int
    train_examples: int
    test_examples: int | None
    resumed_from: int
    """The epoch from which an interrupted training went on; 0 for none."""


def load_config(path: Path, assignments: tuple[str, ...] = ()) -> TrialConfig:
    """Reads and checks a trial config; a key that is set loses the promise, which was made for another config.

    Raises:
        UserError: one line with the place, the rule, the value and the remedy.
    """
    from ubn_sweep.overrides import apply_overrides

    content, text = schema.load_yaml(path)
    if assignments and isinstance(content, dict):
        content = apply_overrides(content, assignments)
        if any(_changes_the_config(item) for item in assignments):
            content.pop("provenance", None)
    return schema.parse(TrialConfig, content, source=str(path), text=text)


def train_for_good(
    config: TrialConfig,
    *,
    folder: FinalFolder,
    recorders: tuple[Recorder, ...] = (),
    threads: int | None = None,
    started: Callable[[TrainingRun], None] = lambda run: None,
) -> FinalResult:
    """Trains on train + validation and tests once. Interrupted, it goes on from the last epoch when called again.

    Raises:
        UserError: the data is not there, the folder holds another config's training or cannot be written, or the
            training diverged.
    """
    from ubn_sweep.training.classification.run import TrainingRun

    run = TrainingRun(config, threads=threads, hold_out=False)
    if folder.checkpoint.is_dir():
        run.load(folder.checkpoint)
    resumed_from = run.epoch
    started(run)
    while run.epoch < config.training.epochs:
        metrics = run.train_epoch()
        if run.diverged:
            raise DivergedError(
                f"{folder.path}: the training diverged in epoch {run.epoch}: lower optimizer.lr, or take another config"
            )
        # Told first: a kill before the checkpoint trains the epoch again, which the record passes over; the other
        # way round it would never be told.
        for recorder in recorders:
            recorder.epoch(run.epoch, metrics)
        run.save(folder.checkpoint)
    test = run.evaluate_test()
    content = {"config": schema.to_plain(config), "test": with_nulls(test)}
    write_text(folder.result, json.dumps(content, indent=1) + "\n")
    return FinalResult(
        test=test,
        checkpoint=folder.checkpoint,
        epochs=run.epoch,
        train_examples=run.train_examples,
        test_examples=run.test_examples,
        resumed_from=resumed_from,
    )


def prepare_folder(folder: FinalFolder, config: TrialConfig) -> None:
    """Creates the run's folder and writes its config there.

    Raises:
        UserError: it cannot be written, or holds the training of another config.
    """
    text = schema.dump_yaml(schema.to_plain(config))
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        there = folder.config.read_text(encoding="utf-8") if folder.config.exists() else None
        if there is not None and there != text:
            raise UserError(
                f"--out: {folder.path} holds the training of another config: choose another folder"
            )
        write_text(folder.config, text)
    except OSError as error:
        raise UserError(
            f"--out: {folder.path} cannot be written ({error.strerror}): choose a folder that you may write to"
        ) from error


def _changes_the_config(assignment: str) -> bool:
    """Where the data lies, and on what it trains, does not change what was promised."""
    return not assignment.startswith(("dataset.root=", "dataset.download=", "device="))
