"""The Ray cluster that a sweep runs on: one of its own on this machine, or one that is there already."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from ubn_sweep.errors import UserError


@contextmanager
def ray_cluster(address: str | None, *, cpus: int | None = None, gpus: int | None = None) -> Iterator[None]:
    """Connects to the cluster at `address`, or starts one that listens on localhost alone and ends with us.

    Raises:
        UserError: there is no cluster at the address.
    """
    if ray.is_initialized():  # somebody's own cluster, in a test or a notebook: it stays theirs
        yield
        return
    if address is None:
        _start_local(cpus, gpus)
    else:
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"--ray-address: no cluster at `{address}` ({reason}): start one with `ray start --head`"
            ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _start_local(cpus: int | None, gpus: int | None) -> None:
    ray.init(
        address="local",
        num_cpus=cpus,
        num_gpus=gpus,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
