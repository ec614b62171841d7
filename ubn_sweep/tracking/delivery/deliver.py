"""Delivering a journal to a store, batch by batch, from wherever an earlier process left off."""

from __future__ import annotations

import itertools

from ubn_sweep.records.folder import JournalFolder
from ubn_sweep.records.journal import count_lines, read_from
from ubn_sweep.tracking.delivery.cursor import read_cursor, write_cursor
from ubn_sweep.tracking.delivery.sink import Sink

BATCH_EVENTS = 500


class Delivery:
    """A journal on its way into one sink."""

    def __init__(self, folder: JournalFolder, sink: Sink, *, batch_events: int = BATCH_EVENTS) -> None:
        self.delivered = 0
        """Events that the store holds."""
        self._folder = folder
        self._sink = sink
        self._cursor = sink.cursor
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
        before = read_from(self._folder.path, 0, kinds=self._sink.resumes_from) if offset > 0 else iter(())
        if not self._sink.resume(
            event for event, _ in itertools.takewhile(lambda record: record[1] <= offset, before)
        ):
            offset = 0
        self._advance(offset, count_lines(self._folder.journal, offset))

    def _advance(self, offset: int, count: int) -> None:
        write_cursor(self._cursor, offset)
        self._offset = offset
        self.delivered += count
