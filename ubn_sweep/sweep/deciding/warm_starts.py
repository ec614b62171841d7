"""The trials that a sweep begins with: the user's points, and what its task names, as near as its space holds it."""

from __future__ import annotations

from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SearchConfig


def first_points(space: Space, search: SearchConfig) -> list[tuple[str, Params]]:
    """(origin, params) of the trials that come before the sampler's own."""
    points = [(f"point {place}", dict(params)) for place, params in enumerate(search.points, start=1)]
    starts = warm_starts(space) if search.warm_starts else []
    return points + [(f"warm start: {name}", params) for name, params in starts]


def warm_starts(space: Space) -> list[tuple[str, Params]]:
    """(name, params) of the points nearest to the task's warm starts, without repetition.

    What they do not say, the learning rate for example, is taken from the spec's base.
    """
    starts: list[tuple[str, Params]] = []
    for name, wanted in space.task.warm_starts.items():
        params: Params = {}
        for key in space.keys:
            if space.is_active(key, params):
                params[key] = space.nearest(key, wanted.get(key, space.base_value(key)))
        if all(params != other for _, other in starts):
            starts.append((name, params))
    return starts
