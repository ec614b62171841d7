"""The journal: one JSON object a line, only ever appended to. It is the one truth about a sweep or a final training.

The sampler's study, ASHA's rungs, MLflow's runs, the Optuna storage and the observations are all made from it,
so that a sweep that was killed at any moment continues from exactly what had been recorded.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from ubn_sweep import plain_json
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import Event, from_dict, to_dict

JOURNAL_FILE = "journal.jsonl"
SYNC_INTERVAL_S = 1.0


class Journal:
    """Appends events to the journal in a folder.

    A line is handed to the operating system before `append` returns, which survives the death of every process;
    it is forced to the disk once a second, which survives most of a power cut.
    A line that a kill cut short is removed when the journal is opened again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        _cut_torn_line(self.path)
        self._file: IO[bytes] = self.path.open("ab", buffering=0)
        self._synced_s = time.monotonic()

    def append(self, event: Event) -> None:
        line = plain_json.dumps(to_dict(event), separators=(",", ":"))
        self._file.write(line.encode() + b"\n")
        if time.monotonic() - self._synced_s > SYNC_INTERVAL_S:
            self.sync()

    def close(self) -> None:
        if not self._file.closed:
            self.sync()
            self._file.close()

    def sync(self) -> None:
        """Forces to the disk what has been appended: it survives a power cut from here on."""
        os.fsync(self._file.fileno())
        self._synced_s = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(folder: Path) -> list[Event]:
    """All events of a journal, in order.

    Raises:
        UserError: there is no journal, or a line in its midst is not readable.
    """
    return [event for event, _ in read_from(folder, 0)]


def first_event(folder: Path) -> Event | None:
    """What a journal begins with; None where it holds nothing yet.

    Raises:
        UserError: there is no journal, or the line is not readable.
    """
    return next((event for event, _ in read_from(folder, 0)), None)


def read_from(folder: Path, offset: int) -> Iterator[tuple[Event, int]]:
    """The whole events from a byte offset on, each with the offset behind it. A line still being written waits."""
    path = folder / JOURNAL_FILE
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}): is this the folder of a sweep or of a final training?"
        ) from error
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                event = from_dict(json.loads(line))
            except ValueError as error:
                raise UserError(f"{path}: byte {offset - len(line)}: not a record ({error})") from error
            yield event, offset


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
