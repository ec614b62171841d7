"""Whether a sweep's process is alive, for whoever sees its folder: a small file that it touches all the time."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from ubn_sweep.files import write_text

SILENT_S = 60.0
"""A process of another machine that has not touched its file for so long is taken for dead. Clocks may differ."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True, kw_only=True)
class Presence:
    """Who runs a sweep. The machine is known by a random id of its last start, not by its name."""

    machine: str
    pid: int


def appear(path: Path) -> None:
    """Says that this process runs the sweep. Raises OSError when it cannot."""
    write_text(path, json.dumps(asdict(Presence(machine=_machine(), pid=os.getpid()))))


def touch(path: Path) -> None:
    """Says that it still does; a folder that is away for a moment is no reason to stop."""
    with contextlib.suppress(OSError):
        os.utime(path)


def is_alive(path: Path) -> bool:
    """Whether the process that wrote the file still runs: exact on its own machine, by its last touch elsewhere."""
    try:
        presence = Presence(**json.loads(path.read_text()))
        silent_s = time.time() - path.stat().st_mtime
    except (OSError, ValueError, TypeError):
        return False
    if presence.machine == _machine():
        return _runs(presence.pid)
    return silent_s < SILENT_S


def _machine() -> str:
    try:
        return f"{BOOT_ID.read_text().strip()} {PID_NAMESPACE.stat().st_ino}"
    except OSError:  # no Linux
        return f"{uuid.getnode():x}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
