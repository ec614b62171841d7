"""How often a test set was looked at: a line for each final test, in a file beside the sweeps.

Whoever picks the best of several tests picks chance, too. So each look is counted, once, however often its training was
interrupted: those of the same sweep on the same data together, over all of its configs and seeds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ubn_sweep.errors import UserError
from ubn_sweep.file_lock import HeldError, file_lock
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.task import Task

LOOKS_FILE = "test_looks.jsonl"
PATIENCE_S = 10.0
Kind = Literal["final", "confirmation"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One trained model that was tested."""

    data: str
    """The data set, by its fingerprint; the task and its subject where it has none."""
    sweep_id: str | None
    """The sweep that the config came from; null for a config of one's own."""
    final_id: str
    kind: Kind
    seed: int
    folder: str
    """Where the training lies."""
    time_s: float = 0.0

    @property
    def key(self) -> tuple[str, Kind, int]:
        """The same model's second test is no second look."""
        return self.final_id, self.kind, self.seed


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How often a test set was looked at."""

    of_sweep: int
    """By trainings of the sweep; of a config of one's own, by all others of that kind."""
    of_others: int
    """By all others that are known in this home."""
    is_of_sweep: bool = True

    @property
    def sentence(self) -> str:
        """For people; empty where it was one look alone."""
        if self.of_sweep + self.of_others <= 1:
            return ""
        whose = "trainings of this sweep" if self.is_of_sweep else "configs of no sweep"
        others = f", and {_times(self.of_others)} by others in this home" if self.of_others else ""
        return (
            f"This test set was looked at {_times(self.of_sweep)} by {whose}{others}: who quotes the best of several "
            "tests quotes chance, too."
        )


def look_of(
    task: Task, config: Any, *, final_id: str, kind: Kind = "final", seed: int | None = None, folder: Path
) -> Look:
    """The look that a training is about to take. `seed` None is the config's."""
    origin: Provenance | None = config.provenance
    return Look(
        data=_data(task, config),
        sweep_id=None if origin is None else origin.sweep_id,
        final_id=final_id,
        kind=kind,
        seed=config.seed if seed is None else seed,
        folder=str(folder),
        time_s=time.time(),
    )


def record_look(home: Path, look: Look) -> str | None:
    """Writes a look down, before its result is known. None when it went well, else why not: a test is not refused for
    a file that cannot be written."""
    path = home / LOOKS_FILE
    try:
        with file_lock(path.with_suffix(".lock"), patience_s=PATIENCE_S):
            if look.key not in {other.key for other in read_looks(home)}:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(dataclasses.asdict(look)) + "\n")
    except HeldError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    return None


def count_looks(home: Path, task: Task, config: Any) -> Looks:
    """Of a config's test set, by its sweep and by others."""
    origin: Provenance | None = config.provenance
    sweep_id = None if origin is None else origin.sweep_id
    data = _data(task, config)
    same = [look for look in read_looks(home) if look.data == data]
    own = sum(look.sweep_id == sweep_id for look in same)
    return Looks(of_sweep=own, of_others=len(same) - own, is_of_sweep=sweep_id is not None)


def read_looks(home: Path) -> list[Look]:
    """All that are known in a home, oldest first; lines that a kill cut short are passed over."""
    return list(_lines(home / LOOKS_FILE))


def _lines(path: Path) -> Iterator[Look]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError, TypeError):
            yield Look(**json.loads(line))


def _data(task: Task, config: Any) -> str:
    try:
        fingerprint = task.fingerprint(config)
    except (UserError, OSError):
        fingerprint = None
    return fingerprint if fingerprint is not None else f"{task.name}: {task.subject(config)}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
