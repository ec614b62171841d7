"""How far a journal has been delivered to a store: a small file beside the journal.

It only saves time. Delivering twice changes nothing, so a cursor that is lost, old or torn is no harm.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from ubn_sweep.file_lock import HeldError, file_lock
from ubn_sweep.files import write_text


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
    write_text(path, json.dumps({"offset": offset}))


@contextlib.contextmanager
def delivering_alone(path: Path, patience_s: float = 0.0) -> Iterator[bool]:
    """Whether this is the only process that delivers to the store of a cursor; held until the block ends.

    Two at once could both find that a trial has no run yet. Where the file system knows no locks, it is taken
    for granted. `patience_s` is how long another one is waited for.
    """
    alone = True
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path.with_suffix(".lock"), patience_s=patience_s))
        except HeldError:
            alone = False
        except OSError:
            alone = True
        yield alone
