"""All reports of epochs in columns: millions of them, for which one object each would take gigabytes.

Lines of a journal are read by Arrow a block at a time. What Arrow does not take as it is meant (a metric that is no
number, a line of another writer), Python reads line by line, with the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json as arrow_json

from ubn_sweep.records.events import EpochReported, Event, line_begin
from ubn_sweep.records.journal import event_of

Ints = npt.NDArray[np.int64]
BLOCK_BYTES = 2**24
BLOCK_EVENTS = 2**14
BEGIN = line_begin(EpochReported)
ODD = (b'"nan"', b'inf"')
"""How numbers that JSON has no word for are written."""
FIXED = {"trial": pa.int32(), "epoch": pa.int32(), "time_s": pa.float64()}
PREFIX = "metrics."


class EpochRows:
    """Gathers reports in the journal's order. Of a trial and epoch the last one stands."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []
        self._events: list[EpochReported] = []
        self._lines: list[bytes] = []
        self._offsets: list[int] = []
        self._bytes = 0
        self._count = 0
        self._voided: list[tuple[int, int, int]] = []
        """(rows before it, trial, the last epoch that stands)."""

    def add(self, event: EpochReported) -> None:
        """One that has been read."""
        self._flush_lines()
        self._events.append(event)
        self._count += 1
        if len(self._events) >= BLOCK_EVENTS:
            self._flush_events()

    def add_line(self, line: bytes, offset: int, folder: Path) -> Event | None:
        """Takes a journal's whole line, up to a byte offset; an event of another kind is returned.

        Raises:
            UserError: the line is no record.
        """
        if line.startswith(BEGIN) and not any(odd in line for odd in ODD):
            self._flush_events()
            self._lines.append(line)
            self._offsets.append(offset)
            self._bytes += len(line)
            self._count += 1
            if self._bytes >= BLOCK_BYTES:
                self._flush_lines(folder)
            return None
        event = event_of(line, offset, folder)
        if not isinstance(event, EpochReported):
            return event
        self._flush_lines(folder)
        self.add(event)
        return None

    def void(self, trial: int, after: int) -> None:
        """What the trial has reported so far of later epochs than this counts no more."""
        self._voided.append((self._count, trial, after))

    def table(self, times_s: Mapping[int, float]) -> pa.Table:
        """trial, epoch, time_s and `metrics.<name>`, nulls where not reported, by trial and epoch.

        A trial without any has one row, with epoch 0. `times_s` are all trials, with the time of that row.
        """
        self._flush_lines()
        self._flush_events()
        parts = pa.concat_tables([*self._parts, _of_events([])], promote_options="default")
        kept = self._kept(parts)
        numbers = parts["trial"].to_numpy()[kept]
        silent = np.setdiff1d(np.array(list(times_s), np.int64), numbers)
        rows = [
            EpochReported(time_s=times_s[number], trial=number, epoch=0, metrics={})
            for number in silent.tolist()
        ]
        whole = pa.concat_tables([parts, _of_events(rows)], promote_options="default")
        at = np.searchsorted(numbers, silent)
        return whole.take(pa.array(np.insert(kept, at, len(parts) + np.arange(len(silent)))))

    def _kept(self, parts: pa.Table) -> Ints:
        """Rows that stand, by trial and epoch."""
        trial, epoch = (parts[name].to_numpy().astype(np.int64) for name in ("trial", "epoch"))
        stands = np.ones(len(trial), bool)
        by_trial = np.argsort(trial, kind="stable") if self._voided else None
        for count, number, after in self._voided:
            assert by_trial is not None
            low, high = np.searchsorted(trial, [number, number + 1], sorter=by_trial)
            mine = by_trial[low:high]
            stands[mine[(mine < count) & (epoch[mine] > after)]] = False
        order = np.lexsort((epoch, trial))  # stable: in the order in which they were reported
        order = order[stands[order]]
        is_last = np.ones(len(order), bool)
        is_last[:-1] = (np.diff(trial[order]) != 0) | (np.diff(epoch[order]) != 0)
        return order[is_last]

    def _flush_events(self) -> None:
        if self._events:
            self._parts.append(_of_events(self._events))
            self._events = []

    def _flush_lines(self, folder: Path | None = None) -> None:
        lines, offsets = self._lines, self._offsets
        if not lines:
            return
        self._lines, self._offsets, self._bytes = [], [], 0
        part = _of_lines(lines)
        if part is None:
            events = [event_of(line, at, folder or Path()) for line, at in zip(lines, offsets, strict=True)]
            part = _of_events([event for event in events if isinstance(event, EpochReported)])
        self._parts.append(part)


def _of_events(events: list[EpochReported]) -> pa.Table:
    names = dict.fromkeys(name for event in events for name in event.metrics)
    columns = {name: [getattr(event, name) for event in events] for name in FIXED}
    metrics = {f"{PREFIX}{name}": [event.metrics.get(name) for event in events] for name in names}
    arrays = {name: pa.array(values, FIXED[name]) for name, values in columns.items()}
    return pa.table(arrays | {name: pa.array(values, pa.float64()) for name, values in metrics.items()})


def _of_lines(lines: list[bytes]) -> pa.Table | None:
    """None where Arrow does not take them, or finds anything but whole records of numbers."""
    options = arrow_json.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
    try:
        found = arrow_json.read_json(pa.BufferReader(b"".join(lines)), read_options=options)
        fixed = {name: found[name].cast(kind) for name, kind in FIXED.items()}
        metrics = found["metrics"].combine_chunks()
        named = {field.name: metrics.field(field.name).cast(pa.float64()) for field in metrics.type}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError, AttributeError):
        return None
    if len(found) != len(lines) or any(column.null_count for column in (*fixed.values(), metrics)):
        return None
    return pa.table(fixed | {f"{PREFIX}{name}": values for name, values in named.items()})
