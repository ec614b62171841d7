"""The Ray cluster that a sweep runs on: one of its own on this machine, or one that is there already."""

from __future__ import annotations

import gc
import logging
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ray

from ubn_sweep.errors import UserError
from ubn_sweep.sweep.running.interruption import keeping_handlers

KNOCK_S = 5.0


@contextmanager
def ray_cluster(
    address: str | None, *, cpus: int | None = None, gpus: int | None = None, modules: Sequence[Path] = ()
) -> Iterator[None]:
    """Connects to the cluster at `address`, or starts one that listens on localhost alone and ends with us.

    Args:
        modules: Python files and packages that Ray takes to every node of a cluster that is there.

    Raises:
        UserError: there is no cluster at the address, it has other versions, or does not let us in.
    """
    if ray.is_initialized():  # somebody's own cluster, in a test or a notebook: it stays theirs
        yield
        return
    with keeping_handlers():  # Ray takes SIGTERM for itself, and dies of it without a word
        if address is None:
            _start_local(cpus, gpus)
        else:
            _connect(address, modules)
    try:
        yield
    finally:
        shut_down()


def shut_down() -> None:
    """Ends Ray, or the connection to it, so that no other thread can touch it meanwhile.

    Tune's objects refer to each other in circles, so that they live on until some thread happens to collect garbage.
    One that refers to Ray and goes while Ray shuts down makes Ray leave the whole process, with exit code 1. So they
    go before, and nothing is collected until Ray is down; afterwards they may go at any time.
    """
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        if was_on:
            gc.enable()


def _connect(address: str, modules: Sequence[Path]) -> None:
    check_address(address)
    runtime_env = {"py_modules": [str(path) for path in modules]} if modules else None
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, runtime_env=runtime_env)
    except (ConnectionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--ray-address: no cluster at `{address}` ({reason}): start one with `ray start --head`"
        ) from error
    except RuntimeError as error:
        lines = " ".join(str(error).split())
        remedy = (
            "install the same versions here" if "ersion" in lines else "see docs/cluster.md for its token"
        )
        raise UserError(f"--ray-address: the cluster at `{address}` refuses ({lines}): {remedy}") from error


def check_address(address: str) -> None:
    """Knocks at HOST:PORT, since Ray itself keeps trying for minutes; `auto` and others are left to Ray.

    Raises:
        UserError: nobody listens there, or by TLS where this process does not speak it, or the other way round.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        raise UserError(
            f"--ray-address: no cluster at `{address}` ({error.strerror or error}): start one with `ray start --head`"
        ) from error
    speaks = _speaks_tls(host, int(port))
    if speaks is True and not _is_tls_set():
        raise UserError(
            f"--ray-address: the cluster at `{address}` speaks TLS: set RAY_USE_TLS=1, RAY_TLS_SERVER_CERT, "
            "RAY_TLS_SERVER_KEY and RAY_TLS_CA_CERT here as on its nodes"
        )
    if speaks is False and _is_tls_set():
        raise UserError(
            f"--ray-address: the cluster at `{address}` speaks no TLS, but RAY_USE_TLS is set here: unset it, or start "
            "the cluster with it"
        )


def _is_tls_set() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def _speaks_tls(host: str, port: int) -> bool | None:
    """Whether a server greets back, whoever it is: Ray decides on its certificate. None where it says nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=KNOCK_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return False if error.reason == "WRONG_VERSION_NUMBER" else None
    except OSError:
        return None


def _start_local(cpus: int | None, gpus: int | None) -> None:
    ray.init(
        address="local",
        num_cpus=cpus,
        num_gpus=gpus,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
