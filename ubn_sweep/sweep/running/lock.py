"""One process at a time runs a sweep: two would write one journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ubn_sweep.errors import UserError
from ubn_sweep.file_lock import HeldError, file_lock
from ubn_sweep.records.folder import SweepFolder


@contextmanager
def sweep_lock(folder: SweepFolder) -> Iterator[None]:
    """Holds the sweep's lock, which the operating system frees when the process dies, however it dies.

    Raises:
        UserError: another process holds it, or the folder knows no locks.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder.lock))
        except HeldError as error:
            raise UserError(
                f"{folder.path}: the sweep is running already, in process {error.holder}: wait for it or stop it"
            ) from error
        except OSError as error:
            raise UserError(
                f"{folder.path}: cannot be locked ({error.strerror}): see that it can be written, and that its file "
                "system has locks"
            ) from error
        yield
