"""How many trials a cluster holds at once, and whether it holds one at all."""

from __future__ import annotations

import time

import ray

from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.slots import fit, slots_of
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.spec.resources import Shape
from ubn_sweep.sweep.spec.spec import SweepSpec

LOOK_EVERY_S = 5.0
"""Nodes come and go."""


class Room:
    """Whether another trial may go out: where all that are out run at once, and one waits at most, for Ray to see that
    more would run."""

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._looked_s = -LOOK_EVERY_S
        self._nodes: list[dict[str, float]] = []

    def for_one_more(self, out: list[Shape]) -> bool:
        """Whether the cluster holds all that are out; and `max_concurrent` one more."""
        most = self._spec.resources.max_concurrent
        return (most is None or len(out) < most) and fit(self._now(), out)

    def most(self) -> int:
        """How many of the smallest trials it holds, and one more; at least 1, at most `max_concurrent`."""
        held = max(slots_of(self._now(), shape) for shape in self._spec.shapes)
        most = self._spec.resources.max_concurrent
        return held + 1 if most is None else min(held + 1, most)

    def _now(self) -> list[dict[str, float]]:
        if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self._nodes, self._looked_s = live_nodes(), time.monotonic()
        return self._nodes


def live_nodes() -> list[dict[str, float]]:
    """What each node of the connected cluster has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def check_capacity(dispatch: Dispatch, *, own: bool) -> None:
    """Refuses what can never run; on a cluster that is there, which may grow, a line says what is waited for.

    Raises:
        UserError: this machine does not hold one trial.
    """
    nodes, asked = live_nodes(), dispatch.state.spec.shapes
    if all(shape.gpus == 0 for shape in asked) and any(node.get("GPU", 0) > 0 for node in nodes):
        dispatch.tell("there is a GPU, but no trial takes one: set resources.gpus_per_worker for that")
    for shape in asked:
        if slots_of(nodes, shape) == 0:
            _refuse(dispatch, shape, nodes, own=own)


def _refuse(dispatch: Dispatch, shape: Shape, nodes: list[dict[str, float]], *, own: bool) -> None:
    cpus, gpus = (max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU"))
    has = f"{cpus:g} processors and {gpus:g} GPUs"
    if own:
        raise UserError(f"resources: a trial takes {shape}, but this machine has {has}: lower them")
    which = "no node has more than" if shape.workers == 1 else f"{len(nodes)} nodes have at most"
    dispatch.tell(f"a trial takes {shape}, but {which} {has}: waiting for one that has")
