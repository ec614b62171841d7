"""What is known of one parameter: the value at the last epoch along its axis, others at their best or averaged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.surrogate.last_epoch import LastEpochModel

Floats = npt.NDArray[np.float64]
PLACES = 17
DRAWS = 400
OTHERS = 256
"""Points of the other parameters that are averaged over, and where the search for the best begins."""
CANDIDATES = 40
"""Points at each place of which the best is taken, inside each draw."""
ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """Draws of both profiles from the posterior, (draws, places), in the objective's unit, higher is better."""

    places: Floats
    """Positions on the axis, from 0 to 1."""
    best: Floats
    """The maximum over the other parameters, inside each draw."""
    average: Floats
    """The mean over the other parameters, uniform over the declared space where the axis exists."""
    unit: float
    """What lies between the best and the median config, as the model expects them."""
    beside: Floats
    """(draws, regions): the maximum over a region off the axis, inside the same draws."""


def profiles(
    model: LastEpochModel,
    over: str,
    *,
    floor: float | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    restrict: dict[str, float] | None = None,
    beside: Sequence[Mapping[str, float]] = (),
    seed: int = 0,
) -> Profiles:
    """Both profiles over a parameter's range.

    Args:
        floor: what is worse counts as this; None takes twice as far below the best as the median is.
        bounds: between which values any lies, higher is better: no share of images exceeds 1.
        restrict: codes of other parameters that are held.
        beside: regions to be compared with, each by the codes that hold there: the gate switched off, for one.

    Raises:
        ValueError: the parameter has a single value, or exists nowhere.
    """
    rng = np.random.default_rng(seed)
    space, column = model.space, model.space.column(over)
    held = _columns(space, restrict or {})
    others = space.points(OTHERS, rng, with_parameter=over)
    places = np.linspace(0.0, 1.0, PLACES)
    regions = [held | {column: float(place)} for place in places]
    grids = [_within(model, others, region) for region in regions]
    tops = [_top(model, grid, region, rng) for grid, region in zip(grids, regions, strict=True)]
    off_axis = [_columns(space, region) for region in beside]
    aside = np.random.default_rng([seed, 1])  # of their own: the profiles are the same without them
    for region in off_axis:
        tops.append(_top(model, _within(model, space.points(OTHERS, aside), region), region, aside))
    expected = model.scale.back(model.mean_and_deviation(np.concatenate(grids))[0])
    highest, median = float(model.seen.value.max()), float(np.median(expected))
    # Beyond it no trial supports what the model says: trials that were ahead early, and are known no further.
    ceiling = min(highest + max(highest - median, 0.0), bounds[1])
    best = min(float(expected.max()), ceiling)
    values = model.scale.back(model.draws(np.concatenate([*grids, *tops]), DRAWS, rng))
    # Twice as far below the best as the median is: how bad the worst are is of no interest, and badly known.
    lowest = 2 * median - best if floor is None else floor
    n = PLACES * (OTHERS + CANDIDATES)
    off_values = np.clip(values[:, n:], bounds[0], ceiling).reshape(DRAWS, len(off_axis), CANDIDATES)
    values = np.clip(values[:, :n], max(lowest, bounds[0]), ceiling)
    n = PLACES * OTHERS
    return Profiles(
        places=places,
        best=values[:, n:].reshape(DRAWS, PLACES, CANDIDATES).max(axis=2),
        average=values[:, :n].reshape(DRAWS, PLACES, OTHERS).mean(axis=2),
        unit=best - median,
        beside=off_values.max(axis=2),
    )


def _columns(space: DeclaredSpace, held: Mapping[str, float]) -> dict[int, float]:
    return {space.column(name): code for name, code in held.items()}


def _within(model: LastEpochModel, others: Floats, region: Mapping[int, float]) -> Floats:
    """The points moved to where these columns have these codes."""
    codes = others.copy()
    for column, code in region.items():
        codes[:, column] = code
    return model.space.existing(model.space.coding.snapped(codes))


def _starts(model: LastEpochModel, region: Mapping[int, float]) -> Floats:
    """The configurations tried of which most is expected, those of the same choices alone."""
    tried = model.tried
    for column in region:
        tried = tried[~np.isnan(tried[:, column])]
        if model.space.coding.is_choice(column):
            tried = tried[tried[:, column] == region[column]]
    if len(tried) == 0:
        return tried
    order = np.argsort(-model.mean_and_deviation(tried)[0], kind="stable")
    return tried[order[:10]]


def _top(
    model: LastEpochModel, grid: Floats, region: Mapping[int, float], rng: np.random.Generator
) -> Floats:
    """CANDIDATES points of a region that may be the best there: by mean and deviation, refined by small moves."""
    codes = np.concatenate([grid, _within(model, _starts(model, region), region)])
    scores = _hopes(model, codes)
    for step in range(ROUNDS):
        best = np.argsort(-scores, kind="stable")[:CANDIDATES]
        codes, scores = codes[best], scores[best]
        moved = model.space.coding.moved(np.repeat(codes[:10], 12, axis=0), 0.15 * 0.5**step, rng)
        moved = _within(model, moved, region)
        # A move may have switched off what the region is about.
        moved = moved[~np.isnan(moved[:, list(region)]).any(axis=1)]
        codes = np.concatenate([codes, moved])
        scores = np.concatenate([scores, _hopes(model, moved)])
    return codes[np.argsort(-scores, kind="stable")[:CANDIDATES]]


def _hopes(model: LastEpochModel, codes: Floats) -> Floats:
    mean, deviation = model.mean_and_deviation(codes)
    return mean + deviation
