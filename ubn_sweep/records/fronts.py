"""Points of two objectives: which of them none beats in both, and in which order they are worth going on with.

Source: Schmucker et al., "Multi-objective Asynchronous Successive Halving", arXiv 2106.12639: non-dominated sorting,
and within a front the order of an epsilon-net.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

Pair = tuple[float, float]
"""Two finite scores, each turned so that higher is better."""


def front(points: Sequence[Pair]) -> list[int]:
    """The places of the points that no other one dominates, the best in the first objective first.

    A point dominates another one where it is no worse in either objective, and better in one. Equal points are on the
    front together.
    """
    return next(iter(layers(points)), [])


def layers(points: Sequence[Pair]) -> list[list[int]]:
    """The places of the front, of the front of the others, and so on; each from the first objective's best."""
    found: list[list[int]] = []
    heights: list[float] = []
    """Of each layer the largest second score, negated: ascending from layer to layer."""
    for place in sorted(range(len(points)), key=lambda place: (-points[place][0], -points[place][1], place)):
        second = -points[place][1]
        # All before it are at least as good in the first objective, so a layer dominates it by the second alone.
        layer = bisect.bisect_right(heights, second)
        if layer > 0 and points[found[layer - 1][-1]] == points[place]:
            layer -= 1
        if layer == len(found):
            found.append([])
            heights.append(second)
        found[layer].append(place)
        heights[layer] = second
    return found


def best_first(points: Sequence[Pair], most: int | None = None) -> list[int]:
    """The places of so many points, all by default: front by front, and within a front spread over it.

    Of a front the best in the first objective comes first, then again and again the one that lies farthest from those
    before it, on the scale of that front: the second is its other end, the third the middle of the widest gap.
    """
    left = len(points) if most is None else min(most, len(points))
    order: list[int] = []
    for layer in layers(points):
        if left <= len(order):
            break
        order += [layer[place] for place in _spread([points[place] for place in layer], left - len(order))]
    return order


def _spread(points: Sequence[Pair], most: int) -> list[int]:
    """Places on one front, farthest first, at most so many; a tie goes to the better in the first objective."""
    values = np.array(points)
    width = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(width > 0, width, 1.0)
    order = [0]
    distances = np.linalg.norm(scaled - scaled[0], axis=1)
    distances[0] = -1.0
    while len(order) < min(most, len(points)):
        chosen = int(distances.argmax())
        order.append(chosen)
        distances = np.minimum(distances, np.linalg.norm(scaled - scaled[chosen], axis=1))
        distances[order] = -1.0
    return order
