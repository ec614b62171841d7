"""The workers behind rank 0 as Ray actors, each in its own bundle of the trial's placement group.

They belong to rank 0's process: when it ends, however that happens, Ray ends them. As its process is used for one
trial after another, so are they.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import ray
from ray.util.placement_group import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ubn_sweep.sweep.running.job import Job
from ubn_sweep.sweep.running.ray.printing import printing_to
from ubn_sweep.training import VISIBLE_GPUS
from ubn_sweep.training.distributed.gang import Ending, Request
from ubn_sweep.training.distributed.network import LOOPBACK, use_loopback

_kept: dict[str, RayGang] = {}
"""That of this process, by its placement group."""


class _Worker:
    """One of them, in its process."""

    def __init__(self, gpus: float) -> None:
        if gpus == 0:
            os.environ[VISIBLE_GPUS] = ""  # Ray leaves it alone, as in rank 0's process
        # PyTorch takes its seconds now, while rank 0 imports it too.
        importlib.import_module("ubn_sweep.training.distributed.follow")

    def where(self) -> tuple[str, int]:
        """Its node, and its process there."""
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def work(self, request: str, log: str, attempt: str, is_local: bool) -> str:
        asked = Request.from_json(request)
        name = f"worker {asked.rank} of {asked.count}"
        with printing_to(log, f"{attempt}-worker-{asked.rank}", f"{name}, process {os.getpid()}"):
            if is_local:
                use_loopback()
            from ubn_sweep.training.distributed.follow import follow

            return follow(asked).to_json()


class RayGang:
    """Workers 1, 2, ... of a trial whose rank 0 is this process."""

    local_ranks = False

    def __init__(self, job: Job) -> None:
        group = get_current_placement_group()
        assert group is not None, "a trial of several workers has a placement group"
        self.shape = _shape(job)
        self._actors = {
            rank: ray.remote(_Worker).options(
                num_cpus=job.threads,
                num_gpus=job.gpus,
                max_restarts=0,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    group, placement_group_bundle_index=rank, placement_group_capture_child_tasks=False
                ),
            ).remote(job.gpus)
            for rank in range(1, job.workers)
        }  # fmt: skip
        self._job = job
        self._places: dict[int, tuple[str, int]] = {}
        self._out: dict[int, Any] = {}

    @property
    def host(self) -> str:
        """The loopback address where all are on this node."""
        return LOOPBACK if self._all_here() else ray.util.get_node_ip_address()

    def of(self, job: Job) -> RayGang:
        """Itself, for another trial."""
        self._job = job
        return self

    def begin(self, requests: Mapping[int, Request]) -> None:
        is_local = self._all_here()
        if is_local:
            use_loopback()
        self._out = {
            rank: self._actors[rank].work.remote(
                request.to_json(), self._job.log, self._job.attempt, is_local
            )
            for rank, request in requests.items()
        }

    def endings(self) -> dict[int, Ending]:
        if not self._out:
            return {}
        back, _ = ray.wait(list(self._out.values()), num_returns=len(self._out), timeout=0)
        return {rank: self._ending(rank) for rank, result in self._out.items() if result in back}

    def kill(self) -> None:
        """A process that is stopped, as a debugger does it, heeds no word of Ray's: those of this node are killed."""
        here = ray.get_runtime_context().get_node_id()
        for node, pid in self._places.values():
            if node == here:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for actor in self._actors.values():
            ray.kill(actor)
        _kept.clear()

    def _all_here(self) -> bool:
        """Where they are is asked once; it waits until their processes have started."""
        if not self._places:
            found = ray.get([actor.where.remote() for actor in self._actors.values()])
            self._places = dict(zip(self._actors, found, strict=True))
        here = ray.get_runtime_context().get_node_id()
        return all(node == here for node, _ in self._places.values())

    def _ending(self, rank: int) -> Ending:
        try:
            return Ending.from_json(ray.get(self._out[rank]))
        except ray.exceptions.RayError as error:
            _, pid = self._places.get(rank, ("", 0))
            last = [line.strip() for line in str(error).splitlines() if line.strip()][-1]
            why = last.partition(" Some common causes")[0]
            return Ending(kind="died", reason=f"its process {pid} died: {why}")


def gang_of(job: Job) -> RayGang:
    """That of the trial before in this process, where it has the same shape; else new processes."""
    group = get_current_placement_group()
    key = group.id.hex() if group is not None else ""
    kept = _kept.get(key)
    if kept is not None and kept.shape == _shape(job):
        return kept.of(job)
    for old in list(_kept.values()):
        old.kill()
    _kept[key] = RayGang(job)
    return _kept[key]


def _shape(job: Job) -> tuple[int, int, float]:
    return job.workers, job.threads, job.gpus
