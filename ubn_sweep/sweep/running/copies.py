"""The copies of a sweep: MLflow's runs, the Optuna storage and others follow its journal and catch up after its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ubn_sweep.masking import from_environment, has_password
from ubn_sweep.mounts import network_file_system
from ubn_sweep.progress import At, nowhere
from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import first_event
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.interruption import HASTE_S
from ubn_sweep.sweep.running.places import stored_at
from ubn_sweep.sweep.spec.space import Space
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.tracking.delivery.follower import PATIENCE_S, Followers, describe
from ubn_sweep.tracking.delivery.sink import Sink
from ubn_sweep.tracking.delivery.sync import attach_now, sync
from ubn_sweep.tracking.mlflow.runs import trial_run_ids
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink
from ubn_sweep.tracking.optuna.mirror import StudyMirror
from ubn_sweep.tracking.storage import StorageSink, bring_newer
from ubn_sweep.tracking.tensorboard import TensorBoardSink
from ubn_sweep.tracking.uri import check_apart, check_uri, sqlite_path


def sinks_of(spec: SweepSpec, folder: SweepFolder) -> list[Sink]:
    """Where a sweep is copied to. A new kind of store is a Sink in a module of its own, and a line here."""
    sinks: list[Sink] = [
        SweepSink(folder, tracking_uri(spec, folder), spec.tracking.experiment),
        StudyMirror(folder, study_storage(spec, folder), Space(spec).to_dashboard),
    ]
    if spec.tracking.tensorboard is not None:
        sinks.append(TensorBoardSink(folder, folder.home / Path(spec.tracking.tensorboard).expanduser()))
    place = stored_at(spec, folder)
    if place is not None:
        sinks.append(StorageSink(folder, place))
    return sinks


def tracking_uri(spec: SweepSpec, folder: SweepFolder) -> str:
    """MLflow's store: the spec's, else SQLite in the folder of the sweeps.

    Raises:
        UserError: it is to come from the environment, which lacks it.
    """
    return from_environment(written_uri(spec, folder), "tracking.uri")


def written_uri(spec: SweepSpec, folder: SweepFolder) -> str:
    """MLflow's store as the spec writes it, `${NAME}` included: what other records and configs may hold."""
    return spec.tracking.uri if spec.tracking.uri is not None else folder.default_tracking_uri


def study_storage(spec: SweepSpec, folder: SweepFolder) -> str:
    """Optuna's storage: the spec's, else SQLite in the folder of the sweeps.

    Raises:
        UserError: it is to come from the environment, which lacks it.
    """
    if spec.tracking.study_storage is None:
        return folder.default_study_storage
    return from_environment(spec.tracking.study_storage, "tracking.study_storage")


def written_passwords(spec: SweepSpec) -> list[str]:
    """The keys of the spec that hold a password, written out."""
    stores = {
        "tracking.uri": spec.tracking.uri,
        "tracking.study_storage": spec.tracking.study_storage,
        "on_end.webhook": spec.on_end.webhook,
        "on_end.command": spec.on_end.command,
    }
    return [key for key, address in stores.items() if has_password(address)]


def stores_on_a_network(
    spec: SweepSpec,
    folder: SweepFolder,
    kind_of: Callable[[Path], str | None] = network_file_system,
) -> str | None:
    """A line where SQLite files of the copies lie on a network file system; None where none does.

    Args:
        kind_of: tells the kind of network file system of a path, None of local ones.

    Raises:
        UserError: an address is to come from the environment, which lacks it.
    """
    stores = {
        "tracking.uri": tracking_uri(spec, folder),
        "tracking.study_storage": study_storage(spec, folder),
    }
    paths = {key: sqlite_path(address) for key, address in stores.items()}
    kinds = {key: kind_of(path) for key, path in paths.items() if path is not None}
    found = {key: kind for key, kind in kinds.items() if kind is not None}
    if not found:
        return None
    which = ", ".join(sorted(set(found.values())))
    return (
        f"{' and '.join(found)}: SQLite on a network file system ({which}), whose locks are not to be relied on, "
        "may lose or block the copies: name a server, or a file on a local disk"
    )


def check_tracking(spec: SweepSpec) -> None:
    """Refuses a tracking store that can never work, before the sweep starts.

    Raises:
        UserError: the URI is of no kind that keeps runs, the environment lacks a part of it, or MLflow and Optuna
            would share one database.
    """
    keys = {"tracking.uri": spec.tracking.uri, "tracking.study_storage": spec.tracking.study_storage}
    given = {key: from_environment(address, key) for key, address in keys.items() if address is not None}
    if "tracking.uri" in given:
        check_uri(given["tracking.uri"])
    if len(given) == 2:
        check_apart(*given.values())


class Following:
    """The copies of a sweep while it runs. None of them holds it up; what did not arrive is told at the end."""

    def __init__(self) -> None:
        self._followers: Followers | None = None
        self.of: tuple[SweepSpec, SweepFolder] | None = None
        """The sweep, once its process has begun with it."""

    @contextmanager
    def follow(self, state: SweepState, folder: SweepFolder) -> Iterator[None]:
        """Delivers while the block runs, and for a while after it."""
        self.of = state.spec, folder
        self._followers = Followers(folder, sinks_of(state.spec, folder))
        self._followers.start()
        try:
            yield
        finally:
            # Who interrupts a sweep wants its end now, and may kill it otherwise: `sync` delivers the rest.
            self._followers.finish(PATIENCE_S if state.finished else HASTE_S)

    @property
    def undelivered(self) -> dict[str, str]:
        """Store -> why not all arrived there."""
        return self._followers.undelivered if self._followers is not None else {}

    def lags(self) -> dict[str, int]:
        """Store -> records that it does not hold yet."""
        return self._followers.lags() if self._followers is not None else {}

    def notice(self) -> str | None:
        """A line for the live table where a store lags or answers errors."""
        return self._followers.notice() if self._followers is not None else None


def deliver_all(
    folder: SweepFolder,
    spec: SweepSpec,
    *,
    to: str | None = None,
    from_start: bool = False,
    at: At = nowhere,
) -> dict[str, int]:
    """Delivers what is missing, to all stores or to another MLflow store alone: store -> records.

    Raises:
        UserError: a store is out of reach or can never work, or the sweep's own process is delivering.
    """
    if to is not None:
        to = from_environment(to, "--to")
        check_uri(to)
        sinks: list[Sink] = [SweepSink(folder, to, spec.tracking.experiment)]
    else:
        sinks = sinks_of(spec, folder)
    return {
        f"{sink.store} at {sink.address}": sync(
            folder, sink, paths=folder.results, from_start=from_start, at=at
        ).delivered
        for sink in sinks
    }


def put_onto_parent_run(folder: SweepFolder, spec: SweepSpec, paths: Iterable[Path]) -> str | None:
    """Puts files onto the sweep's run. None when it went well, else why not: `sync` does it later."""
    sink = SweepSink(folder, tracking_uri(spec, folder), spec.tracking.experiment)
    return attach_now(folder, sink, paths)


def bring_from_storage(folder: SweepFolder, spec: SweepSpec) -> None:
    """A sweep whose driver, or whose driver's disk, is gone comes here; nothing is done where there is none.

    Raises:
        UserError: the storage is out of reach, or holds another sweep of this name.
    """
    place = stored_at(spec, folder)
    if place is not None:
        bring_newer(place, folder)


def put_into_storage(folder: SweepFolder, spec: SweepSpec) -> str | None:
    """Puts the results beside the records in the storage. None when it went well, or there is no storage, else why."""
    place = stored_at(spec, folder)
    if place is None:
        return None
    try:
        StorageSink(folder, place).attach([*folder.results, folder.best])
    except OSError as error:
        return describe(error)
    return None


def run_ids(folder: SweepFolder, spec: SweepSpec) -> dict[int, str]:
    """The MLflow runs of the trials; none where the store does not answer."""
    started = first_event(folder.path)
    assert isinstance(started, SweepStarted)
    try:
        return trial_run_ids(
            tracking_uri(spec, folder), started.sweep_id, experiment=spec.tracking.experiment
        )
    except Exception:  # whatever a store that is out of reach makes its client raise: the configs matter more
        return {}
