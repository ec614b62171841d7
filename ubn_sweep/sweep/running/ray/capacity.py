"""How many trials a cluster holds at once, and whether it holds one at all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.slots import slots_of
from ubn_sweep.sweep.running.dispatch import Dispatch, Tell
from ubn_sweep.sweep.running.ray.apart import Newcomers
from ubn_sweep.sweep.running.ray.asking import live_nodes
from ubn_sweep.sweep.spec.spec import ResourcesConfig, SweepSpec

LOOK_EVERY_S = 5.0
"""Nodes come and go."""


class Slots:
    """How many trials may be out: what the cluster holds, and one that waits, for Ray to see that more would run."""

    def __init__(
        self, spec: SweepSpec, newcomers: Newcomers | None = None, tell: Tell = lambda line: None
    ) -> None:
        self._resources = spec.resources
        self._newcomers = newcomers
        self._tell = tell
        self._waits = False
        self._looked_s = -LOOK_EVERY_S
        self._slots = 0

    def wanted(self) -> int:
        """At least 1; never more than `max_concurrent`."""
        if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self.look()
        most = self._resources.max_concurrent
        if most is not None and self._newcomers is not None:
            return (
                most  # a cluster that grows by itself grows by what waits, and the user has said up to where
            )
        return self._slots + 1 if most is None else min(self._slots + 1, most)

    def look(self) -> None:
        """Counts them now."""
        nodes = live_nodes() if self._newcomers is None else self._newcomers.usable()
        self._slots = slots_of([node.resources for node in nodes], self._resources)
        self._looked_s = time.monotonic()
        self._say_what_is_waited_for([node.resources for node in nodes])

    def _say_what_is_waited_for(self, nodes: Sequence[Mapping[str, float]]) -> None:
        """Once, when no node holds a trial any more, and once when there is one again."""
        if self._newcomers is None or self._waits == (self._slots == 0):
            return
        self._waits = self._slots == 0
        self._tell(
            f"{_lack(nodes, self._resources)}: waiting for one that has" if self._waits else "a node is back"
        )


def check_capacity(dispatch: Dispatch, *, own: bool) -> None:
    """Refuses what can never run; a cluster that is there may grow, and `Slots` says what is waited for.

    Raises:
        UserError: this machine does not hold one trial.
    """
    resources = dispatch.state.spec.resources
    nodes = [node.resources for node in live_nodes()]
    if resources.gpus_per_trial == 0 and any(node.get("GPU", 0) > 0 for node in nodes):
        dispatch.tell("there is a GPU, but no trial takes one: set resources.gpus_per_trial for that")
    if slots_of(nodes, resources) > 0:
        return
    if own:
        raise UserError(f"resources: {_lack(nodes, resources, 'this machine has')}: lower them")


def _lack(
    nodes: Sequence[Mapping[str, float]], resources: ResourcesConfig, who: str = "no node has more than"
) -> str:
    cpus, gpus = (max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU"))
    asked = f"cpus_per_trial {resources.cpus_per_trial}, gpus_per_trial {resources.gpus_per_trial:g}"
    return f"a trial takes {asked}, but {who} {cpus:g} processors and {gpus:g} GPUs"
