"""The journal: one JSON object a line, only ever appended to. It is the one truth about a sweep or a final training.

The sampler's study, ASHA's rungs, MLflow's runs, the Optuna storage and the observations are all made from it,
so that a sweep that was killed at any moment continues from exactly what had been recorded.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from ubn_sweep import plain_json
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import Event, from_dict, line_begin, to_dict

JOURNAL_FILE = "journal.jsonl"
SYNC_INTERVAL_S = 1.0
BLOCK_BYTES = 65536


class Journal:
    """Appends events to the journal in a folder. One thread appends.

    A line is handed to the operating system before `append` returns, which survives the death of every process;
    a thread forces it to the disk within a second, which survives most of a power cut.
    A line that a kill cut short is removed when the journal is opened again.

    Args:
        go_on: what the user types when there is room again, after a full disk.
    """

    def __init__(self, folder: Path, *, go_on: str | None = None) -> None:
        self.path = folder / JOURNAL_FILE
        self._go_on = f"`ubn-sweep resume {folder.name}`" if go_on is None else go_on
        is_new = not self.path.exists()
        if not is_new:
            _cut_torn_line(self.path)
        self._file: IO[bytes] = self.path.open("ab", buffering=0)
        self._end = self.path.stat().st_size
        self._refusal: UserError | None = None
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_by_timer, name="journal", daemon=True)
        self._syncer.start()
        if is_new:
            _sync_folder(folder)

    def append(self, event: Event) -> None:
        """Adds a record, as a whole or not at all.

        Raises:
            UserError: it cannot be written, or an earlier one could not: none follows a record that is missing.
        """
        self.check()
        line = plain_json.dumps(to_dict(event), separators=(",", ":")).encode() + b"\n"
        rest = memoryview(line)
        try:
            while rest:  # a disk that is nearly full takes a part
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            self._refusal = self._cannot(error)
            raise self._refusal from error
        self._end += len(line)
        self._unsynced.set()

    def close(self) -> None:
        """Syncs and closes it.

        Raises:
            UserError: what was appended cannot be forced to the disk.
        """
        if self._file.closed:
            return
        self._closing.set()
        self._unsynced.set()
        self._syncer.join()
        try:
            self.sync()
        finally:
            self._file.close()

    def sync(self) -> None:
        """Forces to the disk what has been appended: it survives a power cut from here on.

        Raises:
            UserError: the disk does not take it.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self._refusal = self._cannot(error)
            raise self._refusal from error

    def refuse(self, error: UserError) -> None:
        """Nothing is appended from here on, by no fault of the disk's: whoever tries is told this."""
        self._refusal = error

    def keep_private(self) -> None:
        """Lets nobody but its owner read it: for records that hold a password."""
        self.path.chmod(0o600)

    def check(self) -> None:
        """Raises the UserError again that a record, or the timer's sync, met; whatever others made of it."""
        if self._refusal is not None:
            raise self._refusal

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(
            *(() if error is None else (UserError,))
        ):  # the first error is the one to tell
            self.close()

    def _sync_by_timer(self) -> None:
        while True:
            self._unsynced.wait()
            if self._closing.wait(SYNC_INTERVAL_S):
                return
            self._unsynced.clear()
            if self._closing.is_set():  # just now, and its word to this thread was cleared with the rest
                return
            with contextlib.suppress(
                UserError
            ):  # the next record tells: some disks say only now that they are full
                self.sync()

    def _cannot(self, error: OSError) -> UserError:
        return UserError(
            f"{self.path}: the record cannot be written ({error.strerror}), and nothing goes on without it: "
            f"free space, then {self._go_on}"
        )


def read_journal(folder: Path) -> list[Event]:
    """All events of a journal, in order, for whoever needs them all at once.

    Raises:
        UserError: there is no journal, or a line in its midst is not readable.
    """
    return list(stream(folder))


def stream(folder: Path, *, kinds: tuple[type[Event], ...] = ()) -> Iterator[Event]:
    """The events of a journal, in order, for a fold: none is held. `kinds` are those wanted; all, if it is empty.

    Raises:
        UserError: there is no journal, or a line in its midst is not readable.
    """
    return (event for event, _ in read_from(folder, 0, kinds=kinds))


def first_event(folder: Path) -> Event | None:
    """What a journal begins with; None where it holds nothing yet.

    Raises:
        UserError: there is no journal, or the line is not readable.
    """
    return next(stream(folder), None)


def read_from(
    folder: Path, offset: int, *, kinds: tuple[type[Event], ...] = ()
) -> Iterator[tuple[Event, int]]:
    """The whole events from a byte offset on, each with the offset behind it. A line still being written waits.

    `kinds` are those wanted; all, if it is empty. Most lines of others are passed over unread, which is quick.
    """
    wanted = tuple(line_begin(kind) for kind in kinds)
    for line, behind in lines_from(folder, offset):
        if kinds and line.startswith(b'{"event":"') and not line.startswith(wanted):
            continue
        event = event_of(line, behind, folder)
        if not kinds or isinstance(event, kinds):
            yield event, behind


def lines_from(folder: Path, offset: int) -> Iterator[tuple[bytes, int]]:
    """The whole lines of a journal from a byte offset on, each with the offset behind it, unread.

    Raises:
        UserError: there is no journal.
    """
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
            yield line, offset


def event_of(line: bytes, behind: int, folder: Path) -> Event:
    """A line of a folder's journal as the record that it is, up to a byte offset.

    Raises:
        UserError: it is none.
    """
    try:
        return from_dict(json.loads(line))
    except ValueError as error:
        raise UserError(
            f"{folder / JOURNAL_FILE}: byte {behind - len(line)}: not a record ({error}): "
            f"`ubn-sweep salvage {folder.name}` keeps those that are whole"
        ) from error


def count_lines(path: Path, end: int) -> int:
    """How many lines a file has up to a byte. Raises OSError when it cannot be read."""
    count = 0
    with path.open("rb") as file:
        while end > 0 and (block := file.read(min(end, BLOCK_BYTES))):
            count += block.count(b"\n")
            end -= len(block)
    return count


def _cut_torn_line(path: Path) -> None:
    """Removes what follows the last line feed, which is looked for from the end: journals are long."""
    with path.open("r+b") as file:
        size = begin = file.seek(0, os.SEEK_END)
        while begin > 0:
            end, begin = begin, max(begin - BLOCK_BYTES, 0)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                whole = begin + found + 1
                break
        else:
            whole = 0
        if whole < size:
            file.truncate(whole)


def _sync_folder(folder: Path) -> None:
    """Forces to the disk that the folder names its new file; some file systems refuse it, and need it not."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
