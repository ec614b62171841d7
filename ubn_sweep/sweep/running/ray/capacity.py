"""How many trials a cluster holds at once, and whether it holds one at all."""

from __future__ import annotations

import time

from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.slots import slots_of
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.ray.apart import Newcomers
from ubn_sweep.sweep.running.ray.asking import live_nodes
from ubn_sweep.sweep.spec.spec import SweepSpec

LOOK_EVERY_S = 5.0
"""Nodes come and go."""


class Slots:
    """How many trials may be out: what the cluster holds, and one that waits, for Ray to see that more would run."""

    def __init__(self, spec: SweepSpec, newcomers: Newcomers | None = None) -> None:
        self._resources = spec.resources
        self._newcomers = newcomers
        self._looked_s = -LOOK_EVERY_S
        self._slots = 0

    def wanted(self) -> int:
        """At least 1; never more than `max_concurrent`."""
        if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self.look()
        most = self._resources.max_concurrent
        return self._slots + 1 if most is None else min(self._slots + 1, most)

    def look(self) -> None:
        """Counts them now."""
        nodes = live_nodes() if self._newcomers is None else self._newcomers.usable()
        self._slots = slots_of([node.resources for node in nodes], self._resources)
        self._looked_s = time.monotonic()


def check_capacity(dispatch: Dispatch, *, own: bool) -> None:
    """Refuses what can never run; on a cluster that is there, which may grow, a line says what is waited for.

    Raises:
        UserError: this machine does not hold one trial.
    """
    resources = dispatch.state.spec.resources
    nodes = [node.resources for node in live_nodes()]
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
