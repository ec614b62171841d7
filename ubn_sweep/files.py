"""Files that are whole whenever someone looks: written beside their place, and renamed."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from ubn_sweep.processes import is_running


@contextlib.contextmanager
def written_beside(path: Path, *, to_disk: bool = False) -> Iterator[Path]:
    """A path beside the file's place, which is there for the block to write and takes the file's name after it.

    A block that raises, or is killed, leaves the file as it was. `to_disk` waits until the content is on the disk,
    so that a power cut leaves the old file or the new one. The file's folder is made where it is missing; what
    killed processes left beside it is removed.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_up(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside
        if to_disk:
            flush(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes, *, to_disk: bool = False) -> Path:
    """Writes a whole file, and returns its path. Raises OSError when it cannot."""
    with written_beside(path, to_disk=to_disk) as beside:
        beside.write_bytes(content)
    return path


def write_text(path: Path, text: str, *, to_disk: bool = False) -> Path:
    """Writes a whole file in UTF-8, and returns its path. Raises OSError when it cannot."""
    return write_bytes(path, text.encode(), to_disk=to_disk)


def flush(path: Path) -> None:
    """Waits until a file's content is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def clear_up(path: Path) -> None:
    """Removes what killed processes left beside a file's place, half written."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp*"):
        pid = left.name.removeprefix(f".{path.name}.").split(".")[0]
        if pid.isdigit() and int(pid) != os.getpid() and not is_running(int(pid)):
            left.unlink(missing_ok=True)
