"""What a store must be able to do to hold a copy of a journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from ubn_sweep.records.events import Event


class Sink(Protocol):
    """A store that a journal is copied to. Only one thread calls it, once it has been loaded."""

    @property
    def store(self) -> str:
        """What people call it: `MLflow`."""

    @property
    def address(self) -> str:
        """Where it is, without passwords."""

    @property
    def cursor(self) -> Path:
        """Where it is kept how much of the journal the store holds."""

    @property
    def resumes_from(self) -> tuple[type[Event], ...]:
        """The kinds of events that `resume` looks at; all, if it is empty."""

    def load(self) -> None:
        """Imports all that the store's client needs; called in the thread that starts a follower.

        Python does not keep two threads from importing modules in opposite orders: one of them then sees a part of
        a package, fails, and no later import makes it whole.
        """

    def resume(self, events: Iterable[Event]) -> bool:
        """Told once, before the first delivery, what has been delivered before. Raises when out of reach.

        False: the store does not hold it all (any more), so everything is delivered again from the start.
        """

    def deliver(self, events: Sequence[Event]) -> None:
        """Writes events, which follow on those before. Raises when out of reach: the same come again, later.

        Writing an event that the store holds already changes nothing.
        """

    def attach(self, paths: Iterable[Path]) -> int:
        """Puts those files and folders that exist beside the records; how many. Raises when it cannot.

        A store that keeps no files takes none.
        """
