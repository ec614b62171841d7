"""One process at a time runs a sweep: two would write one journal."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ubn_sweep.errors import UserError


@contextmanager
def sweep_lock(folder: Path) -> Iterator[None]:
    """Holds the sweep's lock, which the operating system frees when the process dies, however it dies.

    Raises:
        UserError: another process holds it.
    """
    path = folder / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(
                f"{folder}: the sweep is running already, in process {holder}: wait for it or stop it"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
