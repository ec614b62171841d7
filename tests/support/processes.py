"""Real processes for tests: started in a session of their own, watched, killed as a whole."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def start_cli(arguments: Sequence[str], *, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Starts `ubn-sweep ARGUMENTS` in a new session, so that it can be killed with all its children."""
    return subprocess.Popen(
        [sys.executable, "-m", "ubn_sweep", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_cli(
    arguments: Sequence[str], *, cwd: Path, timeout_s: float = 240, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `ubn-sweep ARGUMENTS` to its end; leaves nothing behind if it takes too long."""
    process = start_cli(arguments, cwd=cwd, **environment)
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        kill_all(process)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def call_cli(arguments: Sequence[str], *, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same command line without a process of its own: for what is no matter of processes. It saves the imports."""
    from ubn_sweep.cli import main

    out, err, code = io.StringIO(), io.StringIO(), 0
    before = dict(os.environ)
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        argv, sys.argv = sys.argv, ["ubn-sweep", *arguments]
        os.environ.update(environment)
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            sys.argv = argv
            os.environ.clear()
            os.environ.update(before)
    return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())


def kill_all(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a process and all that descend from it, then waits until they are gone."""
    family = [process.pid, *descendants(process.pid)]
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not any(alive(pid) for pid in family), timeout_s=30)


def descendants(pid: int) -> list[int]:
    """All processes below one, whatever their sessions."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = stat.read_text()
            parent = int(text[text.rindex(")") + 2 :].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text[text.rindex(")") + 2] not in "ZX"


def wait_until(holds: Callable[[], bool], *, timeout_s: float, poll_s: float = 0.05) -> None:
    """Waits for something to come true; TimeoutError if it does not."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not so after {timeout_s} s")
        time.sleep(poll_s)


def listening_addresses(pids: Sequence[int]) -> set[str]:
    """The addresses, in hexadecimal as the kernel writes them, on which any of the processes listens for TCP."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(link.readlink())
                    if target.startswith("socket:["):
                        inodes.add(target[len("socket:[") : -1])
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:  # 0A: LISTEN
                found.add(fields[1].split(":")[0])
    return found
