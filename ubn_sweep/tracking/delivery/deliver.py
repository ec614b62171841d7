"""Delivering a journal to a store, batch by batch, from wherever an earlier process left off."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ubn_sweep.records.events import Event
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_from
from ubn_sweep.tracking.delivery.cursor import read_cursor, write_cursor

BATCH_EVENTS = 500


class Sink(Protocol):
    """A store that a journal is copied to. Only one thread calls it."""

    def resume(self, events: Sequence[Event]) -> bool:
        """Told once, before the first delivery, what has been delivered before. Raises when out of reach.

        False: the store does not hold it all (any more), so everything is delivered again from the start.
        """

    def deliver(self, events: Sequence[Event]) -> None:
        """Writes events, which follow on those before. Raises when out of reach: the same come again, later.

        Writing an event that the store holds already changes nothing.
        """


class Delivery:
    """A journal on its way into one sink."""

    def __init__(
        self, folder: SweepFolder, sink: Sink, cursor: Path, *, batch_events: int = BATCH_EVENTS
    ) -> None:
        self.delivered = 0
        """Events that the store holds."""
        self._folder = folder
        self._sink = sink
        self._cursor = cursor
        self._batch_events = batch_events
        self._offset: int | None = None

    def deliver_batch(self) -> bool:
        """Delivers the next events; False when there were none. Raises what the sink raises."""
        self.open()
        assert self._offset is not None
        batch = list(itertools.islice(read_from(self._folder.path, self._offset), self._batch_events))
        if batch:
            self._sink.deliver([event for event, _ in batch])
            self._advance(batch[-1][1], len(batch))
        return bool(batch)

    def open(self) -> None:
        """Finds where to go on. Raises what the sink raises; the first delivery does it too."""
        if self._offset is not None:
            return
        offset = read_cursor(self._cursor, self._folder.journal)
        records = read_from(self._folder.path, 0) if offset > 0 else iter(())
        before = [event for event, behind in itertools.takewhile(lambda record: record[1] <= offset, records)]
        if not self._sink.resume(before):
            offset, before = 0, []
        self._advance(offset, len(before))

    def _advance(self, offset: int, count: int) -> None:
        write_cursor(self._cursor, offset)
        self._offset = offset
        self.delivered += count
