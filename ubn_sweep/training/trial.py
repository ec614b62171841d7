"""One trial as its task sees it: a config to train, a checkpoint to go on from, and someone to report to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ubn_sweep.plain_json import dumps
from ubn_sweep.training.checkpoint_folder import CheckpointFolder, Load, Save, epoch_of
from ubn_sweep.training.metrics import as_numbers

METRICS_FILE = "metrics.json"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a trial tells its sweep: an epoch, its end, or both."""

    epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    checkpoint: str | None = None
    """Folder that the trial can continue from after this epoch."""
    ended: Literal["failed", "diverged"] | None = None
    """`failed` or `diverged`: an end of the trial's own. All others the sweep decides."""
    reason: str = ""

    def to_json(self) -> str:
        """One value, however many metrics: what carries it between processes keeps none of them apart."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Report:
        return Report(**json.loads(text))


Send = Callable[[Report], None]


class Trial:
    """What a task is given to train a trial.

    After the death of its process, or of the whole sweep, the task is asked again with the same trial: `resume` loads
    the newest checkpoint and reports its epoch once more, since that report may have been lost. The sweep passes over
    what it knows.

    Args:
        config: the trial's, of the task's own class.
        threads: of the processor, that it may use.
        checkpoints: a folder for this trial's alone, on storage that all nodes share.
        every_epochs: how often a checkpoint is kept.
        send: takes each report to the sweep; it may end the trial by never returning.
    """

    def __init__(
        self, number: int, config: Any, *, threads: int, checkpoints: Path, every_epochs: int, send: Send
    ) -> None:
        self.number = number
        self.config = config
        self.threads = threads
        self._checkpoints = CheckpointFolder(checkpoints)
        self._every = every_epochs
        self._send = send

    def resume(self, load: Load) -> None:
        """Loads the newest checkpoint, where there is one, with the task's own function."""
        checkpoint = self._checkpoints.newest()
        if checkpoint is None:
            return
        load(checkpoint)
        metrics = json.loads((checkpoint / METRICS_FILE).read_text())
        self._send(
            Report(
                epoch=epoch_of(checkpoint),
                metrics={key: float(value) for key, value in metrics.items()},
                checkpoint=str(checkpoint),
            )
        )

    def report(self, epoch: int, metrics: Mapping[str, Any], *, save: Save, diverged: bool = False) -> bool:
        """Reports an epoch, saved before; False means that the trial is over. It may never return, if it is stopped.

        Raises:
            ValueError: a metric is no number.
        """
        found = as_numbers(metrics)
        last = epoch >= self.config.training.epochs
        checkpoint = None
        if epoch % self._every == 0 and not (last or diverged):
            checkpoint = str(self._save(epoch, found, save))
        self._send(
            Report(
                epoch=epoch,
                metrics=found,
                checkpoint=checkpoint,
                ended="diverged" if diverged else None,
                reason=f"not finite in epoch {epoch}" if diverged else "",
            )
        )
        return not (last or diverged)

    def _save(self, epoch: int, metrics: dict[str, float], save: Save) -> Path:
        """With its metrics beside, for the trial that goes on from it."""

        def save_both(folder: Path) -> None:
            save(folder)
            (folder / METRICS_FILE).write_text(dumps(metrics))

        return self._checkpoints.save(epoch, save_both)
