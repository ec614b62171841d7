"""The trials that a sweep begins with: the user's points, and what its task names, as near as its space holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ubn_sweep import schema
from ubn_sweep.dotted import flatten
from ubn_sweep.sweep.spec.parameters import Scalar, same
from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SearchConfig
from ubn_sweep.training.task import Values


def first_points(space: Space, search: SearchConfig) -> list[tuple[str, Params]]:
    """(origin, params) of the trials that come before the sampler's own."""
    points = [(f"point {place}", dict(params)) for place, params in enumerate(search.points, start=1)]
    starts = warm_starts(space) if search.warm_starts else []
    return points + [(f"warm start: {name}", params) for name, params in starts]


def warm_starts(space: Space) -> list[tuple[str, Params]]:
    """(name, params) of the points nearest to the task's warm starts, without repetition.

    Each is what it is called: where the space and the base do not hold all that a start names (`norm.centering`, say),
    it is `near NAME`. Of several forms the first one that they hold is taken, else the nearest to the last. What a
    start does not name, the learning rate for example, comes from the spec's base.
    """
    starts: list[tuple[str, Params]] = []
    for name, forms in space.task.warm_starts.items():
        params, is_exact = _held(space, (forms,) if isinstance(forms, Mapping) else forms)
        if all(params != other for _, other in starts):
            starts.append((name if is_exact else f"near {name}", params))
    return starts


def _held(space: Space, forms: Sequence[Values]) -> tuple[Params, bool]:
    """(params, whether they are all that a form names)"""
    params: Params = {}
    for wanted in forms:
        params = _nearest(space, wanted)
        found = flatten(schema.to_plain(space.config(params)))
        if not any(_differs(found.get(key), value) for key, value in wanted.items()):
            return params, True
    return params, False


def _nearest(space: Space, wanted: Values) -> Params:
    params: Params = {}
    for key in space.keys:
        if space.is_active(key, params):
            params[key] = space.nearest(key, wanted.get(key, space.base_value(key)))
    return params


def _differs(found: Scalar, wanted: Scalar) -> bool:
    if _is_number(wanted):
        return not (_is_number(found) and math.isclose(float(found), float(wanted)))  # type: ignore[arg-type]
    return not same(found, wanted)


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
