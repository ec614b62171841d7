"""A sweep as TensorBoard's event files: one run a trial, its metrics by epoch, its settings in the HPARAMS tab."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ubn_sweep.records.events import EpochReported, Event, SweepStarted, TrialCreated, TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.trials import TrialRecord, Trials

MOST_OPEN = 64
"""Files."""
WELL = ("completed", "stopped")


class TensorBoardSink:
    """Writes `ROOT/SWEEP/trial-0012/events...`; `tensorboard --logdir ROOT` shows it. Use it through a Follower.

    Event files can only grow. A file that begins at epoch n therefore says so first, and TensorBoard forgets what
    earlier files hold from n on: records that come twice are shown once.
    """

    store = "TensorBoard"
    resumes_from = (SweepStarted,)

    def __init__(self, folder: SweepFolder, root: Path) -> None:
        self.address = str(root)
        self.cursor = folder.delivered("tensorboard", str(root))
        self._place = root / folder.name
        self._metric = ""
        self._boards: OrderedDict[int, _Board] = OrderedDict()

    def load(self) -> None:
        import tensorboardX  # noqa: F401

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
            # The same records come again, in a file that says where it begins.
            while self._boards:
                self._close(next(iter(self._boards)))
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
        board = self._board(trial.number, first)
        if trial.creation is not None:
            board.settings(trial.created, self._metric)
        for epoch in sorted(trial.epochs):
            board.metrics(trial.epochs[epoch])
        if trial.ended is not None:
            board.end(trial.ended)
            self._close(trial.number)
        else:
            board.flush()

    def _board(self, trial: int, first: int) -> _Board:
        board = self._boards.get(trial)
        if board is None:
            board = self._boards[trial] = _Board(self._place / f"trial-{trial:04d}", first)
        self._boards.move_to_end(trial)
        if len(self._boards) > MOST_OPEN:
            self._close(next(iter(self._boards)))
        return board

    def _close(self, trial: int) -> None:
        self._boards.pop(trial).close()


class _Board:
    """One event file. tensorboardX's own SummaryWriter hands over to another process's queue, which a kill empties."""

    def __init__(self, place: Path, first: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event as Record
        from tensorboardX.proto.event_pb2 import SessionLog

        # It warns of every value that is not finite, on the terminal of a sweep that says so by itself.
        logging.getLogger("tensorboardX").setLevel(logging.ERROR)
        place.mkdir(parents=True, exist_ok=True)
        # Files are named, and read in the order of, the second of their start: two may share it.
        self._file = EventsWriter(str(place / "events"), f".{time.time_ns():020d}")
        self._file.write_event(
            Record(step=first, wall_time=time.time(), session_log=SessionLog(status=SessionLog.START))
        )

    def settings(self, created: TrialCreated, metric: str) -> None:
        """TensorBoard knows texts, numbers and truth values; a setting that is off is the text `null`."""
        from tensorboardX.summary import hparams

        params = {key: "null" if value is None else value for key, value in created.params.items()}
        experiment, begin, _ = hparams(params | {"origin": created.origin}, {metric: None})
        self._add(experiment, 0, created.time_s)
        self._add(begin, 0, created.time_s)

    def metrics(self, report: EpochReported) -> None:
        from tensorboardX.summary import scalar

        for name, value in report.metrics.items():
            self._add(scalar(name, value), report.epoch, report.time_s)

    def end(self, ended: TrialEnded) -> None:
        """A success or a failure in the HPARAMS tab, which a second one of the same trial does not change."""
        from tensorboardX.proto.api_pb2 import Status
        from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo
        from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

        status = Status.Value("STATUS_SUCCESS" if ended.status in WELL else "STATUS_FAILURE")
        content = HParamsPluginData(
            version=0, session_end_info=SessionEndInfo(status=status, end_time_secs=ended.time_s)
        )
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
        value = Summary.Value(tag="_hparams_/session_end_info", metadata=SummaryMetadata(plugin_data=plugin))
        self._add(Summary(value=[value]), ended.epoch + 1, ended.time_s)

    def flush(self) -> None:
        """To the disk, synced."""
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _add(self, summary: Any, step: int, time_s: float) -> None:
        from tensorboardX.proto.event_pb2 import Event as Record

        self._file.write_event(Record(step=step, wall_time=time_s, summary=summary))


def _first_step(new: TrialRecord) -> int | None:
    """The first step that these records write: settings at 0, epochs at their number, the end behind the last one."""
    if new.creation is not None:
        return 0
    if new.epochs:
        return min(new.epochs)
    return None if new.ended is None else new.ended.epoch + 1
