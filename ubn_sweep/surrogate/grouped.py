"""Profiles of one parameter inside groups of configurations, in joint draws, so that groups can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ubn_sweep.surrogate.last_epoch import LastEpochModel

Floats = npt.NDArray[np.float64]
Group = Mapping[str, tuple[float, float]]
"""Parameter -> from which code to which; the same twice holds it."""
DRAWS = 1000
OTHERS = 128
"""Points of the other parameters at each place, of which CANDIDATES are taken by what is expected of them."""
CANDIDATES = 24


def grouped_profiles(
    model: LastEpochModel,
    over: str,
    places: Floats,
    groups: Sequence[Group],
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    seed: int = 0,
) -> Floats:
    """The best of the other parameters at places (0 to 1) of an axis, in each group -> (draws, groups, places).

    In the objective's unit, higher is better; `bounds` are those between which any value lies.

    Raises:
        ValueError: the parameter has a single value, or exists nowhere.
    """
    rng = np.random.default_rng(seed)
    space, column = model.space, model.space.column(over)
    filling = np.concatenate([space.points(OTHERS, rng, with_parameter=over), _tried(model, column)])
    kept: list[Floats] = []
    for group in groups:
        points = filling.copy()
        for name, (low, high) in group.items():
            mine = space.column(name)
            # Who did not have the parameter lies in the middle of the group.
            points[:, mine] = low + (high - low) * np.nan_to_num(points[:, mine], nan=0.5)
        codes = np.repeat(points[None], len(places), axis=0)
        codes[:, :, column] = places[:, None]
        flat = space.existing(space.coding.snapped(codes.reshape(-1, codes.shape[2])))
        means = model.mean(flat).reshape(len(places), -1)
        best = np.argsort(-means, axis=1, kind="stable")[:, :CANDIDATES]
        kept.append(flat.reshape(len(places), -1, codes.shape[2])[np.arange(len(places))[:, None], best])
    chosen = np.stack(kept)
    draws = model.scale.back(model.draws(chosen.reshape(-1, chosen.shape[-1]), DRAWS, rng))
    values = draws.reshape(DRAWS, *chosen.shape[:3]).max(axis=3)
    return np.clip(values, bounds[0], min(bounds[1], _ceiling(model, values)))


def _ceiling(model: LastEpochModel, values: Floats) -> float:
    """As far above the best score seen as that is above the middle of what is expected: no trial supports more."""
    highest = float(model.seen.value.max())
    return highest + max(highest - float(np.median(values)), 0.0)


def _tried(model: LastEpochModel, column: int) -> Floats:
    """The ten configurations tried of which most is expected, of those that have the parameter."""
    tried = model.tried[~np.isnan(model.tried[:, column])]
    return tried[np.argsort(-model.mean(tried), kind="stable")[:10]]
