"""Servers on free loopback ports, for one test each: MLflow's own, a broken one, and PostgreSQL's."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import sqlalchemy

from tests.support.processes import kill_all, wait_until
from ubn_sweep.privacy import OPT_OUTS
from ubn_sweep.tracking.mlflow.ui import LEAN, STORE, server_command
from ubn_sweep.tracking.uri import with_driver

POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


# Below the ports that the system gives to connections, so that a server finds its own free when it comes back,
# and above those of Ray's workers.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port on which nothing listens, drawn at random, since tests run beside one another."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class MlflowServer:
    """`mlflow server` on a SQLite store; may be killed and started again."""

    def __init__(self, store: Path) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._store = store
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        artifacts = self._store.parent / "server-artifacts"
        command = server_command(host="127.0.0.1", port=self.port)
        self._process = subprocess.Popen(
            [*command, "--artifacts-destination", str(artifacts)],
            cwd=self._store.parent,
            env={**os.environ, **OPT_OUTS, **LEAN, STORE: f"sqlite:///{self._store}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        wait_until(self._answers, timeout_s=90, poll_s=0.2)

    def kill(self) -> None:
        if self._process is not None:
            kill_all(self._process)
            self._process = None

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2) as reply:
            return bool(reply.status == 200)
        return False


@contextlib.contextmanager
def broken_server(seconds: float) -> Iterator[str]:
    """A server that answers 500 to everything, after a time."""
    hurry = threading.Event()

    class Broken(BaseHTTPRequestHandler):
        def answer(self) -> None:
            hurry.wait(seconds)
            with contextlib.suppress(OSError):
                self.send_error(500)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        hurry.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


class PostgresServer:
    """A PostgreSQL server in a folder of its own, that trusts this machine; may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._server = f"postgresql://sweeps@127.0.0.1:{self.port}"
        self.uri = f"{self._server}/postgres"
        self._data = folder / "data"
        self._log = folder / "log"
        self._bin = POSTGRES_FOLDERS[-1]
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "-D", self._data, "-U", "sweeps", "-A", "trust", "--no-sync", "-E", "UTF8")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "-D", self._data, "-l", self._log, "-w", "-o", options, "start")

    def new_database(self, name: str) -> str:
        """The address of another database in the server: MLflow and Optuna do not share one."""
        engine = sqlalchemy.create_engine(with_driver(self.uri), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"{self._server}/{name}"

    def stop(self) -> None:
        """As a crash would: clients are cut off."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        if os.geteuid() == 0:  # the server refuses to run as root
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        subprocess.run(
            command, check=True, timeout=90, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts Python code that can import the tests."""
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
