"""Whether a sweep's process is alive, for whoever sees its folder: a small file that it touches all the time.

The file says who owns the sweep, too: the last one that wrote it.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ubn_sweep.files import write_text
from ubn_sweep.processes import is_running

SILENT_S = 60.0
"""A process of another machine that has not touched its file for so long is taken for dead. Clocks may differ."""
BEAT_S = 0.5
"""Between two signs of life."""
WATCH_S = 5.0
"""How long even an old sign of life is watched, at least: ten of a living process's."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True, kw_only=True)
class Presence:
    """Who runs a sweep. The machine is known by a random id of its last start, not by its name."""

    machine: str
    pid: int


def appear(path: Path) -> None:
    """Says that this process runs the sweep. Raises OSError when it cannot."""
    write_text(path, json.dumps(asdict(_myself())))


def touch(path: Path) -> None:
    """Says that it still does; a folder that is away for a moment is no reason to stop."""
    with contextlib.suppress(OSError):
        os.utime(path)


class Heartbeat:
    """A process that owns a sweep, as long as nobody else says that it does."""

    def __init__(self) -> None:
        self.when_lost: Callable[[], None] = lambda: None
        """Called once, from another thread, when another process has written the file."""


@contextmanager
def heartbeat(path: Path) -> Iterator[Heartbeat]:
    """Owns the file, and gives signs of life while the block runs. Raises OSError when it cannot be written."""
    beat, over = Heartbeat(), threading.Event()
    appear(path)
    thread = threading.Thread(target=_beat, args=(path, beat, over), name="presence", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        over.set()
        thread.join()
        if is_mine(path):
            path.unlink(missing_ok=True)


def is_mine(path: Path) -> bool:
    """Whether no other process has written the file since this one did; a folder that is away says nothing."""
    presence = _read(path)
    return presence is None or presence == _myself()


def watched(path: Path, tell: Callable[[str], None]) -> bool:
    """Whether a process of another machine gives signs of life; watches as long as it takes to be sure.

    On this machine the lock says it. Ages are told by the clock of the folder's own file system.
    """
    presence, first = _read(path), _stamp(path)
    if presence is None or first is None or presence.machine == _machine():
        return False
    patience_s = max(WATCH_S, SILENT_S - _age_s(path, first))
    tell(f"another machine ran this sweep: looking for up to {patience_s:.0f} s whether it still does")
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s:
        time.sleep(BEAT_S)
        now, still = _stamp(path), _read(path)
        if now is None or still is None:
            return False  # it has ended
        if now != first or still != presence:
            return True
    return False


def is_alive(path: Path) -> bool:
    """Whether the process that wrote the file still runs: exact on its own machine, by its last touch elsewhere."""
    presence, stamp = _read(path), _stamp(path)
    if presence is None or stamp is None:
        return False
    silent_s = time.time() - stamp / 1e9
    if presence.machine == _machine():
        return is_running(presence.pid)
    return silent_s < SILENT_S


def _beat(path: Path, beat: Heartbeat, over: threading.Event) -> None:
    while not over.wait(BEAT_S):
        if not is_mine(path):
            beat.when_lost()
            return
        touch(path)


def _myself() -> Presence:
    return Presence(machine=_machine(), pid=os.getpid())


def _read(path: Path) -> Presence | None:
    """Who wrote the file; None where it is not there, or not to be read."""
    try:
        return Presence(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _stamp(path: Path) -> int | None:
    """When the file was last touched, in nanoseconds of the file server's clock."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _age_s(path: Path, stamp: int) -> float:
    """How long ago that was, by the same clock; 0 where it cannot be asked."""
    probe = path.with_name(f".clock.{uuid.uuid4().hex}")
    try:
        probe.touch()
        return max((probe.stat().st_mtime_ns - stamp) / 1e9, 0.0)
    except OSError:
        return 0.0
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _machine() -> str:
    try:
        return f"{BOOT_ID.read_text().strip()} {PID_NAMESPACE.stat().st_ino}"
    except OSError:  # no Linux
        return f"{uuid.getnode():x}"
