"""Keeps a sweep's process running on a cluster: one that dies is started again, and goes on exactly."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ubn_sweep.sweep.running.interruption import SIGNALS

MOST_DEATHS = 5
"""In a row, without a record in between."""
REST_S = 2.0
"""Between two starts: what killed the process may still be there."""


def keep(arguments: Sequence[str], journal: Path, tell: Callable[[str], None]) -> int:
    """Runs `ubn-sweep run ARGUMENTS`, and again with `--or-resume` whenever it is killed; its exit code.

    Args:
        journal: the sweep's; what it gains tells that the sweep goes on.
    """
    command = [sys.executable, "-m", "ubn_sweep", "run", *arguments]
    asked: list[int] = []
    deaths, size = 0, _size(journal)
    while True:
        process = subprocess.Popen(command)
        with _handing_on(process, asked):
            code = process.wait()
        if code >= 0 or asked:  # a death is a signal's, which no Python process answered
            return code if code >= 0 else 128 - code
        deaths = 1 if _size(journal) > size else deaths + 1
        size = _size(journal)
        if deaths > MOST_DEATHS:
            tell(
                f"the sweep's process was killed {deaths} times in a row by signal {-code}: see the cluster's memory"
            )
            return 128 - code
        tell(f"the sweep's process was killed by signal {-code}: it goes on")
        command = [*command, "--or-resume"] if "--or-resume" not in command else command
        time.sleep(REST_S)


@contextmanager
def _handing_on(process: subprocess.Popen[bytes], asked: list[int]) -> Iterator[None]:
    """Ctrl-C and SIGTERM are the process's own matter, which ends in order."""

    def hand(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        with suppress(ProcessLookupError):
            process.send_signal(number)

    before = {number: signal.signal(number, hand) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
