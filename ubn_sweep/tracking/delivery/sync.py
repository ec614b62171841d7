"""Brings a store up to date with a sweep's journal, in the foreground and from any state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.tracking.delivery.cursor import delivering_alone
from ubn_sweep.tracking.delivery.deliver import Delivery, Sink
from ubn_sweep.tracking.delivery.follower import describe
from ubn_sweep.tracking.mlflow.client import DEFAULT_EXPERIMENT
from ubn_sweep.tracking.mlflow.sink import MlflowSink
from ubn_sweep.tracking.uri import check_uri, masked

PATIENCE_S = 5.0
"""How long another process that delivers the same sweep is waited for."""


@dataclass(frozen=True, kw_only=True)
class SyncResult:
    """What `sync` did."""

    tracking_uri: str
    delivered: int
    """Records that the store has been given now."""
    there_before: int
    """Records that it had been given earlier."""
    trials: int
    """Trials of the sweep, all of which have their run now."""
    refused: int
    """Batches that the store would not take, for runs that someone deleted for example."""
    last_refusal: str | None
    artifacts: int
    """Files and folders put onto the sweep's run."""


def sync(
    folder: SweepFolder,
    *,
    tracking_uri: str | None = None,
    experiment: str = DEFAULT_EXPERIMENT,
    from_start: bool = False,
) -> SyncResult:
    """Delivers to MLflow what is missing there: records, the spec, and the report where there is one.

    Args:
        folder: the sweep's.
        tracking_uri: the store; null takes SQLite in the folder of the sweeps.
        experiment: the experiment's name in the store.
        from_start: offers all records again, which repairs a store that lost some, and else changes nothing.

    Raises:
        UserError: the store is out of reach or of no kind that keeps runs, or the sweep's own process delivers.
    """
    uri = folder.default_tracking_uri if tracking_uri is None else tracking_uri
    check_uri(uri)
    sink = MlflowSink(folder, uri, experiment)
    before, delivered = deliver_now(
        folder, sink, sink.cursor, store=f"MLflow at {masked(uri)}", from_start=from_start
    )
    paths = [folder.spec, folder.report, folder.figures, folder.observations]
    return SyncResult(
        tracking_uri=uri,
        delivered=delivered,
        there_before=before,
        trials=sink.trials,
        refused=sink.refused,
        last_refusal=sink.last_refusal,
        artifacts=sink.log_artifacts(paths),
    )


def deliver_now(
    folder: SweepFolder, sink: Sink, cursor: Path, *, store: str, from_start: bool = False
) -> tuple[int, int]:
    """Delivers a journal to a sink to its end: (records there before, records delivered now).

    Raises:
        UserError: the store is out of reach, or another process delivers to it.
    """
    delivery = Delivery(folder, sink, cursor)
    with delivering_alone(cursor, PATIENCE_S) as alone:
        if not alone:
            raise UserError(
                f"{folder.name}: its own process is running and delivers to {store} by itself: wait for its end"
            )
        if from_start:
            cursor.unlink(missing_ok=True)
        try:
            delivery.open()
            before = delivery.delivered
            while delivery.deliver_batch():
                pass
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{store} could not be written ({describe(error)}): see that it runs, and sync again"
            ) from error
    return before, delivery.delivered - before


def log_sweep_artifacts(
    folder: SweepFolder,
    paths: Iterable[Path],
    *,
    tracking_uri: str | None = None,
    experiment: str = DEFAULT_EXPERIMENT,
) -> str | None:
    """Puts files and folders onto the sweep's run. None when it went well, else why not: never raises for that.

    `sync` puts the report there later.
    """
    uri = folder.default_tracking_uri if tracking_uri is None else tracking_uri
    sink = MlflowSink(folder, uri, experiment)
    try:
        if not sink.resume(read_journal(folder.path)) and not sink.has_parent:
            return "the sweep's run is not there yet"
        sink.log_artifacts(paths)
    except Exception as error:
        return describe(error)
    return None
