"""How far something long is: whoever does it counts, and whoever looks decides how that is shown.

    with progress("decoding images", total=len(files)) as advance:
        for file in files:
            ...
            advance(1)

Where nobody says otherwise a line goes to standard error now and then, which in a trial is its log; the command line
shows bars on a terminal.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

Unit = Literal["", "B"]
"""Things, or bytes."""
Advance = Callable[[int], None]
"""So many more are done; may be called from any thread."""
LINE_EVERY_S = 5.0
"""Between two lines, and before the first: what is over by then says nothing."""


class Show(Protocol):
    """A way to show one thing that is being done."""

    def __call__(self, what: str, *, total: int | None, unit: Unit) -> AbstractContextManager[Advance]: ...


class At(Protocol):
    """Told what a command is at: a step, and where it is counted, how much of it is done."""

    def __call__(self, step: str, done: int = 0, of: int | None = None) -> None: ...


def nowhere(step: str, done: int = 0, of: int | None = None) -> None:
    """An At that nobody looks at."""


@contextmanager
def progress(what: str, *, total: int | None = None, unit: Unit = "") -> Iterator[Advance]:
    """Shows what is being done, in whichever way this process does.

    Args:
        what: `decoding images`.
        total: how many there are; None where that is not known.
        unit: `B` where bytes are counted.
    """
    with _shown.get()(what, total=total, unit=unit) as advance:
        yield advance


@contextmanager
def shown_by(show: Show) -> Iterator[None]:
    """While the block runs, what this thread does is shown so."""
    token = _shown.set(show)
    try:
        yield
    finally:
        _shown.reset(token)


class Lines:
    """A line now and then, where the output is no terminal.

    Args:
        write: takes a line; None prints it to standard error.
        now_s: the clock.
    """

    def __init__(
        self, write: Callable[[str], None] | None = None, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = _print if write is None else write
        self._now_s = now_s

    @contextmanager
    def __call__(self, what: str, *, total: int | None, unit: Unit) -> Iterator[Advance]:
        pace, done, lock = Pace(self._now_s), 0, threading.Lock()

        def advance(count: int) -> None:
            nonlocal done
            with lock:
                done += count
                if pace.is_due():
                    self._write(f"{what}: {how_far(done, total, unit)}")

        yield advance


class Pace:
    """Says when the next line is due."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._last_s = now_s()

    def is_due(self) -> bool:
        """Whether LINE_EVERY_S have gone since it last was, or since the beginning."""
        now_s = self._now_s()
        if now_s - self._last_s < LINE_EVERY_S:
            return False
        self._last_s = now_s
        return True


def how_far(done: int, total: int | None, unit: Unit = "") -> str:
    """`1,200 of 50,000 (2%)`, `3.4 of 170.5 MB (2%)`, `1,200`."""
    if unit == "B":
        begun = f"{done / 1e6:.1f}" + (" MB" if total is None else f" of {total / 1e6:.1f} MB")
    else:
        begun = f"{done:,}" + ("" if total is None else f" of {total:,}")
    return begun if not total else f"{begun} ({min(done / total, 1):.0%})"


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_IN_LINES = Lines()
_shown: ContextVar[Show] = ContextVar("progress", default=_IN_LINES)
