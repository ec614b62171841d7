"""How many trials a cluster holds at once, and whether it holds one at all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.slots import fit, slots_of
from ubn_sweep.sweep.running.dispatch import Dispatch, Tell
from ubn_sweep.sweep.running.ray.apart import Newcomers
from ubn_sweep.sweep.running.ray.asking import live_nodes
from ubn_sweep.sweep.spec.resources import Shape
from ubn_sweep.sweep.spec.spec import SweepSpec

LOOK_EVERY_S = 5.0
"""Nodes come and go."""


class Room:
    """Whether another trial may go out: where all that are out run at once, and one waits at most, for Ray to see that
    more would run."""

    def __init__(
        self, spec: SweepSpec, newcomers: Newcomers | None = None, tell: Tell = lambda line: None
    ) -> None:
        self._spec = spec
        self._shapes = spec.shapes
        self._newcomers = newcomers
        self._tell = tell
        self._lacking: Shape | None = None
        self._looked_s = -LOOK_EVERY_S
        self._nodes: list[Mapping[str, float]] = []

    def for_one_more(self, out: list[Shape]) -> bool:
        """Whether the cluster holds all that are out, and `max_concurrent` one more.

        A cluster that grows by itself grows by what waits: where the user has said up to where, all of that is out.
        """
        self._look_again()
        most = self._spec.resources.max_concurrent
        if most is not None:
            return len(out) < most and (self._newcomers is not None or fit(self._nodes, out))
        return fit(self._nodes, out)

    def most(self) -> int:
        """How many of the smallest trials may be out; at least 1."""
        self._look_again()
        most = self._spec.resources.max_concurrent
        if most is not None and self._newcomers is not None:
            return most
        held = max(slots_of(self._nodes, shape) for shape in self._shapes)
        return held + 1 if most is None else min(held + 1, most)

    def look(self) -> None:
        """Asks for the nodes now."""
        nodes = live_nodes() if self._newcomers is None else self._newcomers.usable()
        self._nodes = [node.resources for node in nodes]
        self._looked_s = time.monotonic()
        self._say_what_is_waited_for()

    def _look_again(self) -> None:
        if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self.look()

    def _say_what_is_waited_for(self) -> None:
        """Once, when the nodes do not hold some trial any more, and once when they do again."""
        lacking = next((shape for shape in self._shapes if slots_of(self._nodes, shape) == 0), None)
        if self._newcomers is None or (self._lacking is None) == (lacking is None):
            return
        self._lacking = lacking
        self._tell(
            "a node is back"
            if lacking is None
            else f"{_lack(self._nodes, lacking)}: waiting for one that has"
        )


def check_capacity(dispatch: Dispatch, *, own: bool) -> None:
    """Refuses what can never run; on a cluster that is there, which may grow, a line says what is waited for.

    Raises:
        UserError: this machine does not hold one trial.
    """
    nodes, asked = [node.resources for node in live_nodes()], dispatch.state.spec.shapes
    if all(shape.gpus == 0 for shape in asked) and any(node.get("GPU", 0) > 0 for node in nodes):
        dispatch.tell("there is a GPU, but no trial takes one: set resources.gpus_per_worker for that")
    lacking = next((shape for shape in asked if slots_of(nodes, shape) == 0), None)
    if own and lacking is not None:
        raise UserError(f"resources: {_lack(nodes, lacking, 'this machine has')}: lower them")


def _lack(nodes: Sequence[Mapping[str, float]], shape: Shape, who: str | None = None) -> str:
    cpus, gpus = (max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU"))
    if who is None:
        several = f"{len(nodes)} nodes have at most" if len(nodes) > 1 else "there is no more than"
        who = "no node has more than" if shape.workers == 1 else several
    return f"a trial takes {shape}, but {who} {cpus:g} processors and {gpus:g} GPUs"
