"""One process at a time runs a sweep: two would write one journal.

The operating system's lock says so on one machine, and between machines where it travels. Where it does not, as on many
NFS mounts, the owner's sign of life does: a file with its machine and process, touched twice a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ubn_sweep.errors import UserError
from ubn_sweep.file_lock import HeldError, file_lock
from ubn_sweep.mounts import network_file_system
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.running.presence import Heartbeat, heartbeat, is_mine, watched

SETTLE_S = 2.0
"""On a network file system: how long one waits for another's sign of life, which came at the same time as one's own."""


@contextmanager
def sweep_lock(folder: SweepFolder, tell: Callable[[str], None] = lambda line: None) -> Iterator[Heartbeat]:
    """Holds the sweep's lock, which the operating system frees when the process dies, however it dies.

    A sign of life that another machine left behind is watched until it is clear that nobody gives it any more.

    Args:
        tell: takes a line where that takes a while.

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
        if watched(folder.driver, tell):
            raise _runs_elsewhere(folder)
        try:
            beat = stack.enter_context(heartbeat(folder.driver))
        except OSError as error:
            raise UserError(
                f"{folder.driver}: cannot be written ({error.strerror}): free space, or see that the folder can be "
                "written"
            ) from error
        if network_file_system(folder.path) is not None:
            time.sleep(SETTLE_S)
            if not is_mine(folder.driver):
                raise _runs_elsewhere(folder)
        yield beat


def taken_over(folder: SweepFolder) -> UserError:
    """What a process is told that was silent for so long that another one has its sweep by now."""
    return UserError(
        f"{folder.path}: another machine has taken over this sweep, since nothing was seen of this one, which records "
        f"nothing more: see `ubn-sweep status {folder.typed}`"
    )


def _runs_elsewhere(folder: SweepFolder) -> UserError:
    return UserError(
        f"{folder.path}: the sweep is running already, on another machine that sees this folder: wait for it, or end "
        f"it by `ubn-sweep stop {folder.typed}`"
    )
