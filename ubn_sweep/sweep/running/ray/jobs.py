"""Ray's server for jobs: sweeps are sent there from a machine that is no part of the cluster, over HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubn_sweep.certificates import trusted_file, why_untrusted
from ubn_sweep.errors import UserError
from ubn_sweep.privacy import opt_out_of_usage_reports

SWEEP, HOME, STORAGE = "ubn_sweep", "home", "storage"
"""Keys of a job's metadata: the sweep's name, the folder of its sweeps there, and its place in a storage."""
ENDS = ("stopped", "succeeded", "failed")
OVERRIDING = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Ray takes them before the address that it is given."""
TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk", "ray._private.runtime_env.packaging"
)  # fmt: skip
"""Ray's own loggers, which tell of each package and connection."""
STOP_WAIT_S = 60
"""How long a job that is stopped may take to end in order."""
AGAIN_S = 3.0
"""After a connection that broke: a laptop that slept, a head that is away."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A sweep that was sent."""

    id: str
    sweep: str
    state: str
    """As Ray has it: pending, running, stopped, succeeded, failed."""
    started_s: float | None
    message: str
    home: str
    storage: str | None

    @property
    def over(self) -> bool:
        return self.state in ENDS


class JobServer:
    """The server of a cluster's jobs.

    Args:
        address: http://HEAD:8265.

    Raises:
        UserError: nobody answers there, or lets us in. No token is ever in a message.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise UserError(
                f"--address: is http://HEAD:8265, where Ray's jobs are taken, but got `{address}`"
            )
        opt_out_of_usage_reports()
        _take_token()
        self.address = address
        with self._told(), _without(OVERRIDING):
            from ray.job_submission import JobSubmissionClient

            for name in TALKATIVE:
                logging.getLogger(name).setLevel(logging.WARNING)
            trusted = trusted_file()
            self._client = JobSubmissionClient(address, verify=True if trusted is None else trusted)

    def submit(
        self,
        parcel: Path,
        *,
        sweep: str,
        entrypoint: str,
        home: str,
        storage: str | None,
        environment: Mapping[str, str],
    ) -> str:
        """Sends a folder, and what is to be run in it; the job's id."""
        runtime_env = {
            "working_dir": str(parcel),
            "env_vars": {**environment, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)},
        }
        metadata = {SWEEP: sweep, HOME: home, **({} if storage is None else {STORAGE: storage})}
        with self._told():
            return str(
                self._client.submit_job(
                    entrypoint=entrypoint,
                    runtime_env=runtime_env,
                    metadata=metadata,
                    submission_id=f"{sweep}-{uuid.uuid4().hex[:8]}",
                )
            )

    def jobs(self) -> list[Job]:
        """The sweeps that were sent to the cluster, oldest first."""
        with self._told():
            found = [
                _job(details) for details in self._client.list_jobs() if SWEEP in (details.metadata or {})
            ]
        return sorted(found, key=lambda job: job.started_s or float("inf"))

    def find(self, name: str) -> Job:
        """The last job of a sweep's name, or that of an id.

        Raises:
            UserError: there is none.
        """
        jobs = self.jobs()
        found = [job for job in jobs if name in (job.sweep, job.id)]
        if not found:
            there = ", ".join(dict.fromkeys(job.sweep for job in jobs)) or "none"
            raise UserError(f"there is no job of a sweep `{name}` at {self.address}; there are {there}")
        return found[-1]

    def state(self, id: str) -> str:
        """As Job has it."""
        with self._told():
            return str(self._client.get_job_status(id)).rpartition(".")[2].lower()

    def log(self, id: str) -> str:
        """All that a job printed so far."""
        with self._told():
            return str(self._client.get_job_logs(id))

    def errand(self, entrypoint: str, patience_s: float = 300.0) -> str:
        """What a short job prints that is no sweep, and leaves nothing behind.

        Raises:
            UserError: it failed, or takes too long.
        """
        with self._told():
            id, deadline_s = self._client.submit_job(entrypoint=entrypoint), time.monotonic() + patience_s
        while self.state(id) not in ENDS:
            if time.monotonic() > deadline_s:
                self.stop(id)
                raise UserError(f"{self.address} has not done it within {patience_s:.0f} s: see how it is")
            time.sleep(0.5)
        log, state = self.log(id), self.state(id)
        with self._told():
            self._client.delete_job(id)
        if state != "succeeded":
            lines = log.strip().splitlines()
            raise UserError(f"{self.address}: {lines[-1].removeprefix('error: ') if lines else 'it failed'}")
        return log

    def stop(self, id: str) -> None:
        """Asks a job to end in order."""
        with self._told():
            self._client.stop_job(id)

    def follow(self, id: str, lost: Callable[[str], None]) -> Iterator[str]:
        """What a job printed and prints, until it is over. A connection that breaks is made again, and repeats nothing.

        Args:
            lost: is told, once for each time, that the server is out of reach.
        """
        seen, told = 0, False
        while True:
            try:
                if self.state(id) in ENDS:
                    yield self.log(id)[seen:]
                    return
                passed = 0
                for text in self._tail(id):
                    new, passed = text[max(seen - passed, 0) :], passed + len(text)
                    seen, told = max(seen, passed), False
                    yield new
            except (OSError, RuntimeError, UserError) as error:
                if not told:
                    lost(
                        f"{self.address} is out of reach ({_first_line(error)}): trying again; the sweep goes on"
                    )
                    told = True
            time.sleep(AGAIN_S)

    def _tail(self, id: str) -> Iterator[str]:
        """What the server sends, from the beginning on, as long as the connection lasts."""
        texts = self._client.tail_job_logs(id)
        loop = asyncio.new_event_loop()
        try:
            while True:
                try:
                    yield loop.run_until_complete(anext(texts))
                except StopAsyncIteration:
                    return
        finally:
            loop.run_until_complete(texts.aclose())
            loop.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Ray's and its libraries' errors as a line each."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # Ray raises plain RuntimeErrors, requests its own
            if type(error).__name__ == "AuthenticationError":
                raise UserError(
                    f"--address: {self.address} does not let us in: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, to the "
                    "cluster's token"
                ) from error
            untrusted = why_untrusted(error)
            if untrusted is not None:
                raise UserError(f"--address: {self.address}: {untrusted}") from error
            raise UserError(
                f"--address: {self.address} cannot be asked ({_first_line(error)}): see that the cluster runs with its "
                "dashboard, `ray start --head`, and Ray with its part for jobs, `pip install 'ray[default]'`"
            ) from error


def _job(details: Any) -> Job:
    metadata = details.metadata
    return Job(
        id=details.submission_id,
        sweep=metadata[SWEEP],
        state=str(details.status).rpartition(".")[2].lower(),
        started_s=None if details.start_time is None else details.start_time / 1000,
        message=_first_line(details.message or ""),
        home=metadata.get(HOME, ""),
        storage=metadata.get(STORAGE),
    )


def _take_token() -> None:
    """A token that is set is used: Ray itself would want to be told so by another variable."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        os.environ.setdefault("RAY_AUTH_MODE", "token")


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
