"""Ray clusters for tests: each node a process with an address, a current folder and mounts of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import REPOSITORY, kill_all

RAY = Path(sys.executable).with_name("ray")
ANY_PORTS = [
    f"--{name}=0"
    for name in (
        "node-manager-port", "object-manager-port", "min-worker-port", "max-worker-port", "metrics-export-port",
        "dashboard-agent-grpc-port", "runtime-env-agent-port",
    )
]  # fmt: skip

SEVERAL_MACHINES = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
"""The tests' own clusters are bound to localhost by the opposite."""


def can_hide_folders() -> bool:
    """Whether a process may have mounts of its own here."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def head(folder: Path, *arguments: str, cpus: int = 0, **environment: str) -> Iterator[str]:
    """A head, by itself without processors, whose address is given."""
    address = f"127.0.0.1:{free_port()}"
    own = [
        "--head",
        f"--port={address.rpartition(':')[2]}",
        "--node-ip-address=127.0.0.1",
        f"--num-cpus={cpus}",
    ]
    if not any(argument.startswith("--include-dashboard") for argument in arguments):
        own.append("--include-dashboard=false")
    with _started([*own, *arguments], folder=folder, hidden=(), script="", environment=environment):
        yield address


@contextmanager
def node(
    head_address: str,
    ip: str,
    folder: Path,
    *,
    hidden: Sequence[Path] = (),
    script: str = "",
    cpus: int = 1,
    **environment: str,
) -> Iterator[None]:
    """A node with an address of its own.

    Args:
        folder: its current one.
        hidden: folders that it sees empty.
        script: for its shell, before Ray starts: fills them otherwise.
    """
    arguments = [f"--address={head_address}", f"--node-ip-address={ip}", f"--num-cpus={cpus}"]
    with _started(arguments, folder=folder, hidden=hidden, script=script, environment=environment):
        yield


@contextmanager
def _started(
    arguments: Sequence[str],
    *,
    folder: Path,
    hidden: Sequence[Path],
    script: str,
    environment: dict[str, str],
) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(RAY), "start", "--block", *ANY_PORTS, *arguments]
    if hidden:
        mounts = [f"mount -t tmpfs none {path}" for path in hidden]
        command = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            "; ".join([*mounts, script or "true", 'exec "$@"']),
            "sh",
            *command,
        ]
    log = folder / "ray.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **os.environ,
                **SEVERAL_MACHINES,
                "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
                **environment,
            },
            stdout=out,
            stderr=out,
            text=True,
            start_new_session=True,
        )
    try:
        deadline_s = time.monotonic() + 60
        while "Ray runtime started" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"the node did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        kill_all(process)
