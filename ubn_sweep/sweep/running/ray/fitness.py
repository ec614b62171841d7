"""Whether a node can train a sweep's trials: looked at on the node itself, before the first one and by newcomers."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from ubn_sweep import schema
from ubn_sweep.certificates import in_a_line
from ubn_sweep.errors import UserError
from ubn_sweep.storage import Storage, is_url
from ubn_sweep.training import VISIBLE_GPUS
from ubn_sweep.training.finding import find_task


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a trial finds on every node."""

    task: str
    task_folder: str | None
    config: dict[str, Any]
    """What all trials share, with whole paths."""
    fingerprint: str | None
    """Of the data, as the driver sees it."""
    place: str
    """The folder, or URL, that all nodes share."""
    sign: str
    """A file that the driver wrote there; what it holds is the nonce."""
    nonce: str
    gpus: float
    """That a trial takes."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Needs:
        return Needs(**json.loads(text))


def lacking(needs: str, answer: str | None = None) -> str | None:
    """What this node lacks, and the remedy; None where it lacks nothing.

    Args:
        needs: Needs, as JSON.
        answer: the name of a file to write the nonce into, for the driver to see; None writes nothing.
    """
    asked = Needs.from_json(needs)
    try:
        return _lacking_storage(asked, answer) or _lacking_device(asked) or _lacking_data(asked)
    except UserError as error:
        return str(error)
    except Exception as error:  # of a task of one's own: its check is run here as everywhere
        return f"{asked.task} cannot look for its data ({type(error).__name__}: {error}): mend it"


def _lacking_storage(asked: Needs, answer: str | None) -> str | None:
    if is_url(asked.place):
        share = f"does not see the storage {asked.place}"
        remedy = "give it credentials in its environment, and a way there"
    else:
        share = f"does not share the folder {asked.place} with the process that runs the sweep"
        remedy = "mount it there, or give --home a folder that all nodes share, or the spec a `storage`"
    storage, why = Storage(asked.place), ""
    try:
        shared = storage.read(asked.sign).decode() == asked.nonce
    except FileNotFoundError:
        shared = False
    except OSError as error:
        shared, why = False, f" ({in_a_line(error)})"
    if not shared:
        return f"{share}, which it needs for checkpoints{why}: {remedy}"
    if answer is not None:
        try:
            storage.write(answer, asked.nonce.encode())
        except OSError as error:
            return f"cannot write into {asked.place} ({in_a_line(error)}): let it write there"
    return None


def _lacking_device(asked: Needs) -> str | None:
    if asked.gpus == 0 or os.environ.get(VISIBLE_GPUS) == "":
        return None
    from ubn_sweep.training.device import gpu_count  # torch: only where a trial takes a GPU

    if gpu_count() > 0:
        return None
    return "has a GPU for Ray, but none for PyTorch: install the GPU's driver, or PyTorch's build for CUDA"


def _lacking_data(asked: Needs) -> str | None:
    task = find_task(asked.task, asked.task_folder)
    config: Any = schema.parse(task.Config, asked.config, source="the sweep's base")
    task.check(config)
    found = task.fingerprint(config)
    if asked.fingerprint is not None and found != asked.fingerprint:
        return "has other data under dataset.root than the process that runs the sweep: copy the same files there"
    return None
