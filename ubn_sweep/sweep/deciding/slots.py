"""How many trials run at once on machines of a given size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ubn_sweep.sweep.spec.resources import Shape

Node = Mapping[str, float]
"""What a machine has, as Ray names it: CPU, GPU."""
ROUNDING = 1e-9


def slots_of(nodes: Iterable[Node], shape: Shape) -> int:
    """How many trials of a shape the nodes hold at once. A worker lies on one node, a trial's workers on several."""
    return sum(_workers_on(node, shape) for node in nodes) // shape.workers


def fit(nodes: Iterable[Node], shapes: Sequence[Shape]) -> bool:
    """Whether the nodes hold trials of these shapes all at once, the largest workers placed first."""
    free = [_Free(node) for node in nodes]
    workers = [shape for shape in shapes for _ in range(shape.workers)]
    workers.sort(key=lambda shape: (shape.gpus, shape.cpus), reverse=True)
    return all(any(node.takes(worker) for node in free) for worker in workers)


def _workers_on(node: Node, shape: Shape) -> int:
    held = int(node.get("CPU", 0) // shape.cpus)
    if shape.gpus == 0:
        return held
    gpus = node.get("GPU", 0)
    # A share of a GPU lies on one GPU: three quarters twice are two GPUs.
    return min(
        held, int(gpus // shape.gpus) if shape.gpus >= 1 else int(gpus) * int(1 / shape.gpus + ROUNDING)
    )


class _Free:
    """What is left of a node."""

    def __init__(self, node: Node) -> None:
        self.cpus = node.get("CPU", 0)
        self.gpus = [1.0] * int(node.get("GPU", 0))

    def takes(self, worker: Shape) -> bool:
        """Takes a worker, where there is room for it."""
        needed = [1.0] * int(worker.gpus) if worker.gpus >= 1 else [worker.gpus] * (worker.gpus > 0)
        chosen: list[int] = []
        for share in needed:
            place = next(
                (i for i, left in enumerate(self.gpus) if i not in chosen and left + ROUNDING >= share), None
            )
            if place is None:
                return False
            chosen.append(place)
        if self.cpus < worker.cpus:
            return False
        self.cpus -= worker.cpus
        for place, share in zip(chosen, needed, strict=True):
            self.gpus[place] -= share
        return True
