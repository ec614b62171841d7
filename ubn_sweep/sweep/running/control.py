"""Orders to a running sweep: small files in its folder, which any terminal and any machine that sees it can write.

Whoever gives an order writes a file; the sweep's process looks for them, and removes what it has obeyed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ubn_sweep.files import write_text
from ubn_sweep.records.folder import SweepFolder

LOOK_S = 0.5
"""Between two looks for orders."""
STOP = "stop"
TRIAL = "stop-trial-"


def order_stop(folder: SweepFolder, word: str) -> None:
    """The sweep shall end, to be resumed. `word` is what it is called then: `paused`, `stopped`. Raises OSError."""
    write_text(folder.control / STOP, word)


def order_trial_stop(folder: SweepFolder, trial: int) -> None:
    """One trial shall end with its next report. Raises OSError."""
    write_text(folder.control / f"{TRIAL}{trial}", "")


class Ear:
    """What the sweep's process heard."""

    def __init__(self) -> None:
        self.word: str | None = None
        """What the order to stop called it; None where there was none."""
        self.listens = True
        """Set to False once there is nothing to stop any more."""


@contextmanager
def listening(folder: SweepFolder) -> Iterator[Ear]:
    """Ends the block as Ctrl-C does when it is ordered.

    An order of before is void: who resumes a sweep wants it to run.
    """
    ear, over = Ear(), threading.Event()
    (folder.control / STOP).unlink(missing_ok=True)
    thread = threading.Thread(target=_listen, args=(folder, ear, over), name="control", daemon=True)
    thread.start()
    try:
        yield ear
    finally:
        over.set()
        thread.join()


def _listen(folder: SweepFolder, ear: Ear, over: threading.Event) -> None:
    order = folder.control / STOP
    while not over.wait(LOOK_S):
        word = _read(order)
        if word is not None and ear.word is None and ear.listens:
            ear.word = word
            with contextlib.suppress(OSError):
                order.unlink()
            os.kill(os.getpid(), signal.SIGINT)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


class TrialOrders:
    """Which trials the user wants to end. The folder is looked at now and then, whatever the pace of reports."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder.control
        self._looked_s = float("-inf")
        self._wanted: set[int] = set()

    def ends(self, trial: int) -> bool:
        """Whether a trial shall end now; says so once."""
        if time.monotonic() - self._looked_s >= LOOK_S:
            self._looked_s = time.monotonic()
            names = [path.name.removeprefix(TRIAL) for path in self._folder.glob(f"{TRIAL}*")]
            self._wanted = {int(name) for name in names if name.isdigit()}
        if trial not in self._wanted:
            return False
        self._wanted.discard(trial)
        with contextlib.suppress(OSError):
            (self._folder / f"{TRIAL}{trial}").unlink()
        return True
