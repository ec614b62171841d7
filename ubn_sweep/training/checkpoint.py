"""The state of a run as one file, which names the config that it belongs to."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any

import torch

from ubn_sweep import schema
from ubn_sweep.dotted import NotAMappingError, flatten, is_below, set_at
from ubn_sweep.errors import ForeignCheckpointError, UserError
from ubn_sweep.files import written_beside
from ubn_sweep.training import CHECKPOINT_FILE
from ubn_sweep.training.task import TaskConfig

FORMAT = 1
"""Of the file; those of before have none. A later one is refused."""
MAY_DIFFER = ("provenance", "device", "dataset.root", "dataset.download", "training.epochs")
"""Where a config came from and where it runs are no part of what it computes; how far it goes is none of its past."""


def save_checkpoint(
    folder: Path,
    config: TaskConfig,
    *,
    hold_out: bool,
    epoch: int,
    repeats: list[dict[str, Any]],
    network: dict[str, Any],
) -> None:
    """Writes beside and renames: a kill leaves the checkpoint before.

    `repeats` are the states of the seeds, `network` what a model needs to be built without the data.
    """
    content = {
        "format": FORMAT,
        "config": _identity(config),
        "hold_out": hold_out,
        "epoch": epoch,
        "repeats": repeats,
        "network": network,
    }
    with written_beside(folder / CHECKPOINT_FILE, to_disk=True) as beside, beside.open("wb") as file:
        _save(content, file)  # to a path, it would write the path's name into the file


def load_checkpoint(
    folder: Path, config: TaskConfig, *, hold_out: bool, device: torch.device
) -> dict[str, Any]:
    """Reads a checkpoint of this very config. Nothing in the file is executed.

    Raises:
        UserError: there is none, or it is damaged.
        ForeignCheckpointError: it belongs to another config, or a later version wrote it.
    """
    path = folder / CHECKPOINT_FILE
    content = read_checkpoint(folder, device)
    saved, wanted = _in_todays_options(content["config"], config), _identity(config)
    for key in sorted(saved.keys() | wanted.keys()):
        if saved.get(key) != wanted.get(key):
            raise ForeignCheckpointError(
                f"{path}: belongs to another config, with {key} = {saved.get(key)!r}, but got "
                f"{wanted.get(key)!r}: "
                "take the config that it was saved with"
            )
    if content["hold_out"] != hold_out:
        raise ForeignCheckpointError(
            f"{path}: belongs to a run with hold_out={content['hold_out']}: choose another folder"
        )
    return content


def read_checkpoint(folder: Path, device: torch.device) -> dict[str, Any]:
    """What a checkpoint holds, whatever its config. Nothing in the file is executed.

    Raises:
        UserError: there is none, or it is damaged.
        ForeignCheckpointError: a later version wrote it.
    """
    path = folder / CHECKPOINT_FILE
    try:
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        for key in ("config", "hold_out", "epoch"):
            content[key]
        if "replicas" in content:  # as version 0.1 called them
            content["repeats"] = content.pop("replicas")
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no checkpoint: give the folder of one") from error
    except (RuntimeError, EOFError, OSError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path}: is damaged, or no checkpoint of a training run: take another one"
        ) from error
    if content.get("format", 0) > FORMAT:
        raise ForeignCheckpointError(
            f"{path}: has format {content['format']}, and this version of ubn-sweep reads up to {FORMAT}: use the "
            "version that wrote it"
        )
    return content


def _in_todays_options(saved: dict[str, Any], config: TaskConfig) -> dict[str, Any]:
    """A saved config, with today's defaults for options that there were none of when it was saved."""
    nested: dict[str, Any] = {}
    try:
        for key, value in saved.items():
            set_at(nested, key, value)
        today = schema.parse(type(config), nested, source="the checkpoint's config")
    except (UserError, NotAMappingError):  # it has options that are gone: the comparison names them
        return saved
    return _identity(today) | saved


def _identity(config: TaskConfig) -> dict[str, Any]:
    flat = flatten(schema.to_plain(config))
    return {key: value for key, value in flat.items() if not is_below(key, *MAY_DIFFER)}


def _save(content: dict[str, Any], file: IO[bytes]) -> None:
    """torch.save, whose own error about an unfinished archive would hide that the disk is full."""
    try:
        torch.save(content, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
