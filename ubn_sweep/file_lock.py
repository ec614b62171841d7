"""A file that one process holds at a time, and that tells who holds it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock


class HeldError(Exception):
    """Another process, or another part of this one, holds the lock."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is held by process {holder}")
        self.holder = holder
        """Its process id, or `unknown`."""


@contextlib.contextmanager
def file_lock(path: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Holds a lock, which the operating system frees when the process dies, however it dies. The file stays.

    Args:
        path: the lock's file; its folder is made where it is missing. The holder's process id is written into it.
        patience_s: how long a holder is waited for; negative waits for ever.

    Raises:
        HeldError: another one holds it, and held it all the time.
        OSError: the file cannot be written, or its file system knows no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A lock that is a file's mere existence would outlive its holder, so there is no falling back to one.
    lock = filelock.FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(timeout=patience_s, poll_interval=0.05)
    except filelock.Timeout as error:
        raise HeldError(path, _holder(path)) from error
    try:
        path.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text().strip() or "unknown"
    except OSError:
        return "unknown"
