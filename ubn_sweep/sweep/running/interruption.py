"""Ctrl-C, and the SIGTERM by which Slurm, Kubernetes and systemd end a process: both leave a sweep that goes on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HASTE_S = 3.0
"""Who interrupts a sweep wants its end now: the longest that it waits for a store, a command or a webhook then."""


class Interruption:
    """Which signal asked the sweep to end."""

    def __init__(self) -> None:
        self.number: int | None = None
        """None as long as nobody asked."""

    def check(self) -> None:
        """Raises KeyboardInterrupt again, where the first one was lost in code that lets nothing out."""
        if self.number is not None:
            raise KeyboardInterrupt


@contextmanager
def interruptible(answer: Callable[[], None] = lambda: None) -> Iterator[Interruption]:
    """Both signals raise KeyboardInterrupt while the block runs; `answer` is called at once, for the first of them.

    Signals reach the main thread only.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        is_first, interruption.number = interruption.number is None, number
        if is_first:
            with suppress(RuntimeError):  # the main thread was writing to the same stream itself
                answer()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """Puts back the handlers of both signals after code that takes them for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[Any, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
