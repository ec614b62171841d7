"""How often a sweep's process started, and whether its last one saw the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ubn_sweep.records.events import AttemptStarted, Event, SpecChanged, SweepEnded, SweepStarted


class Attempts:
    """Counts them in events that pass by on their way to another fold, so that a journal is read once."""

    def __init__(self) -> None:
        self.count = 0
        self.environment: dict[str, Any] = {}
        """Of the last one; empty in journals of version 0.1."""
        self.ended = False
        """Whether the sweep's end is recorded, and no attempt after it."""
        self.changed: set[str] = set()
        """Keys of the spec that were changed, and no attempt has begun since."""

    def passing(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, SweepStarted | AttemptStarted) and event.environment:
                self.environment = event.environment
            if isinstance(event, AttemptStarted):
                self.count, self.ended, self.changed = event.attempt, False, set()
            elif isinstance(event, SpecChanged):
                self.changed |= set(event.changes)
            elif isinstance(event, SweepEnded):
                self.ended = True
            yield event
