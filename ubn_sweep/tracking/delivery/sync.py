"""Brings a store up to date with a journal, in the foreground and from any state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.progress import At, nowhere
from ubn_sweep.records.folder import JournalFolder
from ubn_sweep.records.journal import count_lines, first_event
from ubn_sweep.tracking.delivery.cursor import delivering_alone
from ubn_sweep.tracking.delivery.deliver import Delivery
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.delivery.sink import Sink

PATIENCE_S = 5.0
"""How long another process that delivers the same journal is waited for."""


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What `sync` did."""

    delivered: int
    """Records that the store has been given now."""
    there_before: int
    """Records that it had been given earlier."""
    attached: int
    """Files and folders put beside them."""


def sync(
    folder: JournalFolder,
    sink: Sink,
    *,
    paths: Iterable[Path] = (),
    from_start: bool = False,
    at: At = nowhere,
) -> SyncResult:
    """Delivers what a store lacks: records, and then those of the files and folders that exist.

    `from_start` offers all records again, which repairs a store that lost some, and else changes nothing.

    Raises:
        UserError: the store is out of reach or refuses its files, or another process delivers to it.
    """
    store = f"{sink.store} at {sink.address}"
    with delivering_alone(sink.cursor, PATIENCE_S) as alone:
        if not alone:
            raise UserError(
                f"{folder.path.name}: its own process is running and delivers to {store} by itself: "
                "wait for its end"
            )
        if from_start:
            sink.cursor.unlink(missing_ok=True)
        try:
            delivery = Delivery(folder, sink)
            delivery.open()
            before = delivery.delivered
            records = count_lines(folder.journal, folder.journal.stat().st_size)
            at(f"records to {sink.store}", before, records)
            while delivery.deliver_batch():
                at(f"records to {sink.store}", delivery.delivered, records)
            at(f"files to {sink.store}")
            attached = sink.attach(paths)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{store} could not be written ({describe(error)}): see that it runs, and sync again"
            ) from error
    return SyncResult(delivered=delivery.delivered - before, there_before=before, attached=attached)


def attach_now(folder: JournalFolder, sink: Sink, paths: Iterable[Path]) -> str | None:
    """Puts files and folders beside the records. None when it went well, else why not: never raises for that."""
    try:
        begun = first_event(folder.path)
        if begun is None or not sink.resume([begun]):
            return "the run is not there yet"
        sink.attach(paths)
    except Exception as error:  # whatever a store that is out of reach makes its client raise
        return describe(error)
    return None
