"""A sweep as TensorBoard's event files: one run a trial, its metrics by epoch, its settings in the HPARAMS tab."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ubn_sweep.records.events import Event, SweepStarted
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.trials import TrialRecord, Trials

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

MOST_OPEN = 64
"""Writers: each holds a file and a thread."""


class TensorBoardSink:
    """Writes `ROOT/SWEEP/trial-0012/events...`; `tensorboard --logdir ROOT` shows it. Use it through a Follower.

    Event files can only grow. A writer that begins at epoch n therefore says so first, and TensorBoard forgets what
    earlier files hold from n on: records that come twice are shown once.
    """

    store = "TensorBoard"
    resumes_from = (SweepStarted,)

    def __init__(self, folder: SweepFolder, root: Path) -> None:
        self.address = str(root)
        self.cursor = folder.delivered("tensorboard", str(root))
        self._place = root / folder.name
        self._metric = ""
        self._writers: OrderedDict[int, SummaryWriter] = OrderedDict()

    def resume(self, events: Iterable[Event]) -> bool:
        self._begin(Trials(events))
        return self._place.is_dir()

    def deliver(self, events: Sequence[Event]) -> None:
        new = Trials(events)
        self._begin(new)
        self._place.mkdir(parents=True, exist_ok=True)
        try:
            for trial in new:
                self._write(trial)
        except Exception:
            # The same records come again, from a writer that says where it begins.
            while self._writers:
                self._close(next(iter(self._writers)))
            raise

    def attach(self, paths: Iterable[Path]) -> int:
        """TensorBoard keeps no files."""
        return 0

    # ---------------------------------------------------------------- inside

    def _begin(self, new: Trials) -> None:
        if new.start is not None:
            self._metric = new.start.spec["objective"]["metric"]

    def _write(self, trial: TrialRecord) -> None:
        first = _first_step(trial)
        if first is None:
            return
        writer = self._writer(trial.number, first)
        if trial.creation is not None:
            self._write_settings(writer, trial)
        for epoch, report in sorted(trial.epochs.items()):
            for name, value in report.metrics.items():
                writer.add_scalar(name, value, epoch, walltime=report.time_s)
        if trial.ended is not None:
            words = " ".join(part for part in (trial.ended.status, trial.ended.reason) if part)
            writer.add_text("end", words, trial.ended.epoch + 1, walltime=trial.ended.time_s)
            self._close(trial.number)
        else:
            writer.flush()

    def _write_settings(self, writer: SummaryWriter, trial: TrialRecord) -> None:
        """TensorBoard knows texts, numbers and truth values; a setting that is off is the text `null`."""
        from tensorboardX.summary import hparams

        params = {key: "null" if value is None else value for key, value in trial.created.params.items()}
        experiment, begin, _ = hparams(params | {"origin": trial.created.origin}, {self._metric: None})
        writer.file_writer.add_summary(experiment)
        writer.file_writer.add_summary(begin)

    def _writer(self, trial: int, first: int) -> SummaryWriter:
        from tensorboardX import SummaryWriter

        writer = self._writers.get(trial)
        if writer is None:
            writer = SummaryWriter(str(self._place / f"trial-{trial:04d}"), purge_step=first)
            self._writers[trial] = writer
        self._writers.move_to_end(trial)
        if len(self._writers) > MOST_OPEN:
            self._close(next(iter(self._writers)))
        return writer

    def _close(self, trial: int) -> None:
        self._writers.pop(trial).close()


def _first_step(new: TrialRecord) -> int | None:
    """The first step that these records write: settings at 0, epochs at their number, the end behind the last one."""
    if new.creation is not None:
        return 0
    if new.epochs:
        return min(new.epochs)
    return None if new.ended is None else new.ended.epoch + 1
