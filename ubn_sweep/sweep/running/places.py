"""Where a sweep's checkpoints and logs lie: in its folder, which all nodes share, or below the spec's storage."""

from __future__ import annotations

import uuid

from ubn_sweep.certificates import in_a_line
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.storage import Storage, below, check_place, is_url
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training.checkpoint_folder import CheckpointFolder
from ubn_sweep.training.stored_checkpoints import checkpoints_at

SIGN = "nonce"
"""A file by which nodes know that they see the very place of a sweep."""


def shared_place(spec: SweepSpec, folder: SweepFolder) -> str:
    """What all nodes must see: the sweep's folder, or its place in the storage."""
    place = stored_at(spec, folder)
    return str(folder.path) if place is None else place


def stored_at(spec: SweepSpec, folder: SweepFolder) -> str | None:
    """The sweep's own place in the storage; None where its folder is all."""
    return None if spec.storage is None else below(spec.storage, folder.name)


def checkpoint_place(spec: SweepSpec, folder: SweepFolder, trial: int) -> str:
    """Where one trial keeps its checkpoints: a folder, or a URL."""
    place = stored_at(spec, folder)
    return str(folder.checkpoint(trial)) if place is None else below(place, "checkpoints", f"{trial:04d}")


def checkpoints_of(spec: SweepSpec, folder: SweepFolder, trial: int) -> CheckpointFolder:
    """One trial's checkpoints."""
    return checkpoints_at(checkpoint_place(spec, folder, trial))


def stored_checkpoints(spec: SweepSpec, folder: SweepFolder) -> list[int]:
    """The trials that have checkpoints in the storage. Raises OSError when it is out of reach."""
    place = stored_at(spec, folder)
    if place is None:
        return []
    return sorted(int(name) for name in Storage(below(place, "checkpoints")).folders() if name.isdigit())


def log_place(spec: SweepSpec, folder: SweepFolder, trial: int) -> str:
    """Where it is written what a trial prints: a file, or the URL of a folder with one for each attempt."""
    place = stored_at(spec, folder)
    if place is None:
        return str(folder.log(trial))
    logs = below(place, "logs", folder.log(trial).stem)
    return logs if is_url(place) else below(logs, "all.log")


def read_log(spec: SweepSpec, folder: SweepFolder, trial: int) -> bytes | None:
    """What a trial has printed so far; None where nothing is there, or to be reached."""
    place = stored_at(spec, folder)
    try:
        if place is None:
            return folder.log(trial).read_bytes()
        storage = Storage(place)
        names = storage.sizes(f"logs/{folder.log(trial).stem}")
        return b"".join(storage.read(name) for name in names) if names else None
    except OSError:
        return None


def logged_trials(spec: SweepSpec, folder: SweepFolder) -> list[int]:
    """The trials that have printed something."""
    place, logs = stored_at(spec, folder), folder.log(0).parent
    names = (
        [path.stem for path in logs.glob("*.log")]
        if place is None
        else Storage(below(place, "logs")).folders()
    )
    return sorted(int(name.removeprefix("trial-")) for name in names)


def stored_sweeps(spec: SweepSpec) -> set[str]:
    """Names of the sweeps in the storage, after a look whether it can be written.

    Raises:
        UserError: it is out of reach, or takes no files.
    """
    if spec.storage is None:
        return set()
    check_place(spec.storage, "storage")
    storage = Storage(spec.storage)
    probe = f".ubn-sweep-{uuid.uuid4().hex}"
    try:
        storage.write(probe, b"")
        storage.remove(probe)
        return storage.folders()
    except OSError as error:
        raise UserError(
            f"storage: `{spec.storage}` cannot be written ({in_a_line(error)}): see that it is there, and that this "
            "machine has credentials for it"
        ) from error
