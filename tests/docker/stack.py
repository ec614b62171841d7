"""The containers of docker/compose.yaml, really started: as `make containers` does it, with podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from tests.support.processes import REPOSITORY

COMPOSE = REPOSITORY / "docker" / "compose.yaml"
LEFT = (
    ("container", "{{.Names}}", ["--all"]),
    ("volume", "{{.Name}}", []),
    ("network", "{{.Name}}", []),
)


def why_not() -> str | None:
    """Why containers cannot be started here; None where they can."""
    if shutil.which("podman") is None:
        return "podman is not installed"
    for image in ("ubn-sweep", "ubn-sweep-mlflow", os.environ.get("POSTGRES", "postgres:17")):
        if _podman("image", "exists", image).returncode != 0:
            return f"there is no image {image}: `make containers` builds it"
    tried = _podman("run", "--rm", "--entrypoint", "true", "ubn-sweep")
    return (
        None if tried.returncode == 0 else f"podman cannot start a container: {tried.stderr.strip()[-200:]}"
    )


def _podman(*arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=timeout_s)


class Stack:
    """One project of containers; `down` removes it with its volumes."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.network = f"{project}_cluster"

    def compose(self, *arguments: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "podman-compose"), "--in-pod", "false"]
        command += ["--project-name", self.project, "--profile", "client"]
        command += ["--file", str(COMPOSE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=REPOSITORY)

    def up(self, *services: str, healthy_within_s: float = 300) -> None:
        """Starts services one after another: not every podman waits for `depends_on` by itself."""
        for service in services:
            many = ["--scale", f"{service}={self.replicas(service)}"]
            done = self.compose("up", "--detach", "--no-build", "--no-recreate", *many, service)
            assert done.returncode == 0, done.stderr[-3000:]
            for number in range(1, self.replicas(service) + 1):
                self.wait_until_healthy(service, number, timeout_s=healthy_within_s)

    def replicas(self, service: str) -> int:
        content = yaml.safe_load(COMPOSE.read_text())["services"][service]
        return int(content.get("deploy", {}).get("replicas", 1))

    def wait_until_healthy(self, service: str, number: int = 1, *, timeout_s: float = 300) -> None:
        self.wait(
            lambda: self.healthy(service, number),
            f"{service} {number} is healthy",
            timeout_s=timeout_s,
            look_at=(service,),
        )

    def down(self) -> None:
        """Not every podman-compose knows of all that it started: what is left goes by its name."""
        self.compose("down", "--volumes", "--timeout", "5")
        for kind, column, options in LEFT:
            listed = _podman(kind, "ls", "--filter", f"name={self.project}_", "--format", column, *options)
            for name in listed.stdout.split():
                _podman(kind, "rm", "--force", name)

    def container(self, service: str, number: int = 1) -> str:
        return f"{self.project}_{service}_{number}"

    def podman(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        return _podman(*arguments, timeout_s=timeout_s)

    def inside(
        self, service: str, *command: str, number: int = 1, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in a running container, as its own user, with what the secrets' files hold."""
        return _podman("exec", self.container(service, number), *command, timeout_s=timeout_s)

    def client(self, *command: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        """Runs `ubn-sweep ...` in a container of its own that only asks."""
        return self.compose("run", "--rm", "-T", "client", *command, timeout_s=timeout_s)

    def healthy(self, service: str, number: int = 1) -> bool:
        done = _podman("healthcheck", "run", self.container(service, number))
        return done.returncode == 0

    def logs(self, service: str, number: int = 1) -> str:
        done = _podman("logs", "--tail", "60", self.container(service, number))
        return done.stdout + done.stderr

    def wait(
        self, holds: Callable[[], bool], what: str, *, timeout_s: float, look_at: Sequence[str] = ("head",)
    ) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline_s:
                tails = "\n".join(f"--- {service}\n{self.logs(service)}" for service in look_at)
                raise AssertionError(f"{what}: not within {timeout_s:.0f} s\n{tails}")
            time.sleep(1)


def last_json(text: str) -> dict:
    return json.loads(text.strip().splitlines()[-1])
