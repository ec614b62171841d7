"""One trial as its task sees it: a config to train, a checkpoint to go on from, and someone to report to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ubn_sweep.plain_json import dumps
from ubn_sweep.records.correctness import packed
from ubn_sweep.training.checkpoint_folder import Load, Save, epoch_of
from ubn_sweep.training.memory import is_out_of_memory
from ubn_sweep.training.metrics import as_numbers
from ubn_sweep.training.stored_checkpoints import checkpoints_at

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
    kind: Literal["error", "memory", "died", "stuck"] = "error"
    """Of a failure: the task raised, or there was not enough memory, or another of its workers died or hung."""
    reason: str = ""
    correct: dict[str, Any] = field(default_factory=dict)
    """Which validation examples were right after this epoch, as `records.correctness` packs them."""
    note: str = ""
    """Something that went wrong and was got over: a broken checkpoint."""

    def to_json(self) -> str:
        """One value, however many metrics: what carries it between processes keeps none of them apart."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Report:
        content = json.loads(text)
        # The same names come from every trial: each driver keeps them once, not once a trial.
        content["metrics"] = {sys.intern(name): value for name, value in content["metrics"].items()}
        return Report(**content)


Send = Callable[[Report], None]
GO_ON, ENDED, ANEW = "go on", "ended", "anew"
"""What the other workers of a trial are told: it trains on, or not; it begins without a checkpoint."""


class Trial:
    """What a task is given to train a trial.

    After the death of its process, or of the whole sweep, the task is asked again with the same trial: `resume` loads
    the newest checkpoint and reports its epoch once more, since that report may have been lost. The sweep passes over
    what it knows. A checkpoint that cannot be loaded is passed over for the one before.

    Args:
        config: the trial's, of the task's own class.
        threads: of the processor, that it may use.
        checkpoints: a folder for this trial's alone, on storage that all nodes share, or a URL.
        every_epochs: how often a checkpoint is kept.
        attempt: a name for this attempt, behind those of the attempts before it in the alphabet.
        known_epoch: the last one that the sweep knows of.
        keep_final: whether the last epoch is saved, too.
        send: takes each report to the sweep; it may end the trial by never returning.
        tell: tells the other workers of the trial what became of a report, and which checkpoint to load.
    """

    def __init__(
        self,
        number: int,
        config: Any,
        *,
        threads: int,
        checkpoints: Path | str,
        every_epochs: int,
        send: Send,
        attempt: str = "",
        known_epoch: int | None = None,
        keep_final: bool = False,
        tell: Callable[[str], None] = lambda word: None,
    ) -> None:
        self.number = number
        self.config = config
        self.threads = threads
        self._checkpoints = checkpoints_at(checkpoints, attempt)
        self._every = every_epochs
        self._send = send
        self._known_epoch = known_epoch
        self._keep_final = keep_final
        self._tell = tell

    def resume(self, load: Load) -> None:
        """Loads the newest checkpoint that can be loaded, where there is one, with the task's own function.

        Raises:
            Exception: what `load` raised, where none can be loaded. The trial's next attempt begins anew: a network
                that took up half a checkpoint is none to begin with.
        """
        # A process that the sweep has given up may have saved epochs of which the sweep will never hear.
        up_to = None if self._known_epoch is None else self._known_epoch + 1
        metrics: dict[str, float] = {}

        def load_both(checkpoint: Path) -> None:
            read = json.loads((checkpoint / METRICS_FILE).read_text())
            load(checkpoint)
            metrics.update({key: float(value) for key, value in read.items()})

        try:
            loaded = self._checkpoints.load_newest(
                load_both, lambda line: self._send(Report(note=line)), up_to=up_to
            )
        except Exception as error:
            if not is_out_of_memory(error):
                self._checkpoints.set_aside(up_to=up_to)
            raise
        if loaded is not None:
            self._send(Report(epoch=epoch_of(loaded), metrics=metrics, checkpoint=str(loaded)))
        self._tell(ANEW if loaded is None else str(loaded))

    def report(
        self,
        epoch: int,
        metrics: Mapping[str, Any],
        *,
        save: Save,
        diverged: bool = False,
        correct: Any = None,
    ) -> bool:
        """Reports an epoch, saved before; False means that the trial is over. It may never return, if it is stopped.

        `correct` tells which validation examples were right, (seeds, examples); None says nothing of them.

        Raises:
            ValueError: a metric is no number, or `correct` has another shape.
        """
        found = as_numbers(metrics)
        last = epoch >= self.config.training.epochs
        checkpoint = None
        wanted = self._keep_final if last else epoch % self._every == 0
        if wanted and not diverged:
            checkpoint = str(self._save(epoch, found, save))
        self._send(
            Report(
                epoch=epoch,
                metrics=found,
                checkpoint=checkpoint,
                ended="diverged" if diverged else None,
                reason=f"not finite in epoch {epoch}" if diverged else "",
                correct={} if correct is None or diverged else packed(correct),
            )
        )
        go_on = not (last or diverged)
        self._tell(GO_ON if go_on else ENDED)
        return go_on

    def _save(self, epoch: int, metrics: dict[str, float], save: Save) -> Path:
        """With its metrics beside, for the trial that goes on from it."""

        def save_both(folder: Path) -> None:
            save(folder)
            (folder / METRICS_FILE).write_text(dumps(metrics))

        return self._checkpoints.save(epoch, save_both)


class FollowingTrial(Trial):
    """A trial as its workers behind rank 0 see it: the same loop, and rank 0 loads, saves, reports and decides.

    Args:
        hear: gives what rank 0 tells, in order; it may end the trial by never returning.
    """

    def __init__(
        self, number: int, config: Any, *, threads: int, checkpoints: Path | str, hear: Callable[[], str]
    ) -> None:
        self.number = number
        self.config = config
        self.threads = threads
        self._checkpoints = checkpoints_at(checkpoints)
        self._hear = hear

    def resume(self, load: Load) -> None:
        """Loads the checkpoint that rank 0 has loaded."""
        word = self._hear()
        if word != ANEW:
            with self._checkpoints.fetched(Path(word)) as folder:
                load(folder)

    def report(
        self,
        epoch: int,
        metrics: Mapping[str, Any],
        *,
        save: Save,
        diverged: bool = False,
        correct: Any = None,
    ) -> bool:
        """Waits for what became of rank 0's report; False means that the trial is over."""
        return self._hear() == GO_ON
