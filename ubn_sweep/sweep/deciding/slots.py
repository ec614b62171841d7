"""How many trials run at once on machines of a given size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ubn_sweep.sweep.spec.spec import ResourcesConfig


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
