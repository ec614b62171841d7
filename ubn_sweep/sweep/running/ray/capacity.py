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

Resources = Mapping[str, float]
"""What a node has, as Ray names it."""
LOOK_EVERY_S = 5.0
"""Nodes come and go."""


class Room:
    """Whether another trial may go out: where all that are out run at once, and one waits at most, for Ray to see that
    more would run."""

    def __init__(
        self, spec: SweepSpec, newcomers: Newcomers | None = None, tell: Tell = lambda line: None
    ) -> None:
        self._spec = spec
        self._newcomers = newcomers
        self._tell = tell
        self._waits = False
        self._looked_s = -LOOK_EVERY_S
        self._nodes: list[Resources] = []

    def for_one_more(self, out: list[Shape]) -> bool:
        """Whether the cluster holds all that are out; and `max_concurrent` one more."""
        most = self._spec.resources.max_concurrent
        if most is not None and len(out) >= most:
            return False
        return self._may_grow or fit(self._now(), out)

    def most(self) -> int:
        """How many of the smallest trials it holds, and one more; at least 1, at most `max_concurrent`."""
        most = self._spec.resources.max_concurrent
        if most is not None and self._may_grow:
            return most
        held = max(slots_of(self._now(), shape) for shape in self._spec.shapes)
        return held + 1 if most is None else min(held + 1, most)

    @property
    def _may_grow(self) -> bool:
        """A cluster that grows by itself grows by what waits, and the user has said up to where."""
        return self._newcomers is not None and self._spec.resources.max_concurrent is not None

    def _now(self) -> list[Resources]:
        if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
            self.look()
        return self._nodes

    def look(self) -> None:
        """Asks for the nodes now."""
        nodes = live_nodes() if self._newcomers is None else self._newcomers.usable()
        self._nodes, self._looked_s = [node.resources for node in nodes], time.monotonic()
        self._say_what_is_waited_for()

    def _say_what_is_waited_for(self) -> None:
        """Once, when the nodes do not hold some trial any more, and once when they do again."""
        large = _too_large(self._spec, self._nodes)
        if self._newcomers is None or self._waits == (large is not None):
            return
        self._waits = large is not None
        self._tell(
            "a node is back" if large is None else f"{_lack(self._nodes, large)}: waiting for one that has"
        )


def check_capacity(dispatch: Dispatch, *, own: bool) -> None:
    """Refuses what can never run; a cluster that is there may grow, and `Room` says what is waited for.

    Raises:
        UserError: this machine does not hold one trial.
    """
    spec, nodes = dispatch.state.spec, [node.resources for node in live_nodes()]
    if all(shape.gpus == 0 for shape in spec.shapes) and any(node.get("GPU", 0) > 0 for node in nodes):
        dispatch.tell("there is a GPU, but no trial takes one: set resources.gpus_per_worker for that")
    large = _too_large(spec, nodes)
    if own and large is not None:
        raise UserError(f"resources: {_lack(nodes, large, 'this machine has')}: lower them")


def _too_large(spec: SweepSpec, nodes: Sequence[Resources]) -> Shape | None:
    """What a trial may take, and the nodes together do not hold."""
    return next((shape for shape in spec.shapes if slots_of(nodes, shape) == 0), None)


def _lack(nodes: Sequence[Resources], shape: Shape, who: str | None = None) -> str:
    cpus, gpus = (max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU"))
    most = "no node has more than" if shape.workers == 1 else f"{len(nodes)} nodes have at most"
    return f"a trial takes {shape}, but {most if who is None else who} {cpus:g} processors and {gpus:g} GPUs"
