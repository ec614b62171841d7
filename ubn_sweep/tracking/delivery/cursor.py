"""How far a journal has been delivered to a store: a small file beside the journal.

It only saves time. Delivering twice changes nothing, so a cursor that is lost, old or torn is no harm.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ubn_sweep.records.folder import SweepFolder


def cursor_file(folder: SweepFolder, kind: str, *address: str) -> Path:
    """Where the cursor for a store lies. The address is hashed, since a URI may hold a password."""
    digest = hashlib.sha256("\n".join(address).encode()).hexdigest()[:12]
    return folder.path / "delivered" / f"{kind}-{digest}.json"


def read_cursor(path: Path, journal: Path) -> int:
    """The byte behind the last record delivered; 0 where that is not known."""
    try:
        offset = int(json.loads(path.read_text())["offset"])
        with journal.open("rb") as file:
            file.seek(offset - 1 if offset > 0 else 0)
            fits = offset == 0 or (offset > 0 and file.read(1) == b"\n")
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return offset if fits else 0


def write_cursor(path: Path, offset: int) -> None:
    """Replaces the file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps({"offset": offset}))
    beside.replace(path)


@contextlib.contextmanager
def delivering_alone(path: Path, patience_s: float = 0.0) -> Iterator[bool]:
    """Whether this is the only process that delivers to the store of a cursor; held until the block ends.

    Two at once could both find that a trial has no run yet. Where the file system knows no locks, it is taken
    for granted. `patience_s` is how long another one is waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + patience_s
        alone = _lock(descriptor)
        while not alone and time.monotonic() < deadline:
            time.sleep(0.05)
            alone = _lock(descriptor)
        yield alone
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
