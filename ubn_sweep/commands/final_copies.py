"""The copy of a final training: one run in MLflow, in the store of the sweep that its config came from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.masking import MASK, from_environment
from ubn_sweep.records.events import FinalStarted
from ubn_sweep.records.folder import FinalFolder, SweepFolder
from ubn_sweep.records.journal import first_event
from ubn_sweep.tracking.delivery.follower import Followers
from ubn_sweep.tracking.delivery.sync import sync
from ubn_sweep.tracking.mlflow.final_sink import FinalSink
from ubn_sweep.tracking.uri import check_uri


def store_of(origin: str | None, asked_for: str | None, home: Path) -> str:
    """The store that the user asks for, else that of the config's origin, else that of this folder's sweeps.

    It is as they write it: what is to come from the environment does so when it is used.

    Raises:
        UserError: it is of no kind that keeps runs, or its password was left out of the config.
    """
    default = SweepFolder(home=home, name="").default_tracking_uri
    uri = next(item for item in (asked_for, origin, default) if item is not None)
    if asked_for is None and f":{MASK}@" in uri:
        raise UserError(
            f"provenance.tracking_uri: `{uri}` came without its password, which no config holds: "
            "say --tracking-uri, with ${NAME} for what the environment knows"
        )
    check_uri(address_of(uri))
    return uri


def sink_of(folder: FinalFolder, uri: str, home: Path) -> FinalSink:
    """MLflow's; where it is the local store of the sweeps, files lie beside it."""
    place = SweepFolder(home=home, name="")
    local = uri == place.default_tracking_uri
    return FinalSink(folder, address_of(uri), artifact_root=place.default_artifact_root if local else None)


def address_of(uri: str) -> str:
    """A store's whole address, with what the environment knows of it."""
    return from_environment(uri, "--tracking-uri")


@contextmanager
def following(folder: FinalFolder, sink: FinalSink) -> Iterator[Followers]:
    """Delivers while the block runs, and for a while after it; never holds up what is recorded."""
    followers = Followers(folder, [sink])
    followers.start()
    try:
        yield followers
    finally:
        followers.finish()


def final_of(folder: Path) -> FinalStarted | None:
    """What a folder's journal tells of a final training; None where it is a sweep's."""
    first = first_event(folder)
    return first if isinstance(first, FinalStarted) else None


def deliver_final(
    folder: FinalFolder, started: FinalStarted, *, to: str | None, from_start: bool, home: Path
) -> dict[str, int]:
    """Delivers what is missing: store -> records.

    Raises:
        UserError: the store is out of reach, or the training's own process is delivering.
    """
    delivered = 0
    # Those of several seeds find the run that they share in the store.
    for one in (folder, *(folder.of_seeds() if started.of_seeds else ())):
        sink = sink_of(one, store_of(started.tracking_uri, to, home), home)
        delivered += sync(one, sink, from_start=from_start).delivered
    return {f"{sink.store} at {sink.address}": delivered}
