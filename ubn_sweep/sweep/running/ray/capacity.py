"""How many trials a cluster holds at once, and whether it holds one at all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import ray

from ubn_sweep.errors import UserError
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.spec.spec import ResourcesConfig, SweepSpec

LOOK_EVERY_S = 5.0
"""Nodes come and go."""


def slots_of(nodes: Iterable[Mapping[str, float]], resources: ResourcesConfig) -> int:
    """How many trials nodes with these resources, as Ray names them, hold at once. A trial lies on one node."""
    return sum(_slots_of(node, resources) for node in nodes)


def _slots_of(node: Mapping[str, float], resources: ResourcesConfig) -> int:
    slots = int(node.get("CPU", 0) // resources.cpus_per_trial)
    share = resources.gpus_per_trial
    if share == 0:
        return slots
    gpus = node.get("GPU", 0)
    # A share of a GPU lies on one GPU: three quarters twice are two GPUs.
    return min(slots, int(gpus // share) if share >= 1 else int(gpus) * int(1 / share + 1e-9))


class Slots:
    """How many trials may be out: what the cluster holds, and one that waits, for Ray to see that more would run."""

    def __init__(self, spec: SweepSpec) -> None:
        self._resources = spec.resources
        self._looked_s = -LOOK_EVERY_S
        self._slots = 0

    def wanted(self) -> int:
        """At least 1; never more than `max_concurrent`."""
        if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self._slots, self._looked_s = slots_of(live_nodes(), self._resources), time.monotonic()
        most = self._resources.max_concurrent
        return self._slots + 1 if most is None else min(self._slots + 1, most)


def live_nodes() -> list[dict[str, float]]:
    """What each node of the connected cluster has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def check_capacity(dispatch: Dispatch, *, own: bool) -> None:
    """Refuses what can never run; on a cluster that is there, which may grow, a line says what is waited for.

    Raises:
        UserError: this machine does not hold one trial.
    """
    resources = dispatch.state.spec.resources
    nodes = live_nodes()
    if resources.gpus_per_trial == 0 and any(node.get("GPU", 0) > 0 for node in nodes):
        dispatch.tell("there is a GPU, but no trial takes one: set resources.gpus_per_trial for that")
    if slots_of(nodes, resources) > 0:
        return
    cpus, gpus = (max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU"))
    asked = f"cpus_per_trial {resources.cpus_per_trial}, gpus_per_trial {resources.gpus_per_trial:g}"
    has = f"{cpus:g} processors and {gpus:g} GPUs"
    if own:
        raise UserError(f"resources: a trial takes {asked}, but this machine has {has}: lower them")
    dispatch.tell(f"a trial takes {asked}, but no node has more than {has}: waiting for one that has")
