"""What is known of one parameter: the value at the last epoch along its axis, others at their best or averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


def profiles(
    model: LastEpochModel,
    over: str,
    *,
    floor: float | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    restrict: dict[str, float] | None = None,
    seed: int = 0,
) -> Profiles:
    """Both profiles over a parameter's range.

    Args:
        floor: what is worse counts as this; None takes twice as far below the best as the median is.
        bounds: between which values any lies, higher is better: no share of images exceeds 1.
        restrict: codes of other parameters that are held.

    Raises:
        ValueError: the parameter has a single value, or exists nowhere.
    """
    rng = np.random.default_rng(seed)
    space, column = model.space, model.space.column(over)
    others = space.points(OTHERS, rng, with_parameter=over)
    held = {space.column(name): code for name, code in (restrict or {}).items()}
    for other, code in held.items():
        others[:, other] = code
    places = np.linspace(0.0, 1.0, PLACES)
    grids = [_at(model, others, column, place) for place in places]
    starts = _starts(model, column, held)
    tops = []
    for place, grid in zip(places, grids, strict=True):
        tops.append(_top(model, grid, _at(model, starts, column, place), column, held, rng))
    expected = model.scale.back(model.mean_and_deviation(np.concatenate(grids))[0])
    highest, median = float(model.seen.value.max()), float(np.median(expected))
    # Beyond it no trial supports what the model says: trials that were ahead early, and are known no further.
    ceiling = min(highest + max(highest - median, 0.0), bounds[1])
    best = min(float(expected.max()), ceiling)
    values = model.scale.back(model.draws(np.concatenate([*grids, *tops]), DRAWS, rng))
    # Twice as far below the best as the median is: how bad the worst are is of no interest, and badly known.
    lowest = 2 * median - best if floor is None else floor
    values = np.clip(values, max(lowest, bounds[0]), ceiling)
    n = PLACES * OTHERS
    return Profiles(
        places=places,
        best=values[:, n:].reshape(DRAWS, PLACES, CANDIDATES).max(axis=2),
        average=values[:, :n].reshape(DRAWS, PLACES, OTHERS).mean(axis=2),
        unit=best - median,
    )


def _at(model: LastEpochModel, others: Floats, column: int, place: float) -> Floats:
    codes = others.copy()
    codes[:, column] = place
    return model.space.existing(model.space.coding.snapped(codes))


def _starts(model: LastEpochModel, column: int, held: dict[int, float]) -> Floats:
    """The configurations tried of which most is expected."""
    tried = model.tried
    tried = tried[~np.isnan(tried[:, column])]
    for other, code in held.items():
        tried = tried[tried[:, other] == code]
    if len(tried) == 0:
        return tried
    order = np.argsort(-model.mean_and_deviation(tried)[0], kind="stable")
    return tried[order[:10]]


def _top(
    model: LastEpochModel,
    grid: Floats,
    starts: Floats,
    column: int,
    held: dict[int, float],
    rng: np.random.Generator,
) -> Floats:
    """CANDIDATES points at one place that may be the best there: by mean and deviation, refined by small moves."""
    codes = np.concatenate([grid, starts])
    scores = _hopes(model, codes)
    for step in range(ROUNDS):
        best = np.argsort(-scores, kind="stable")[:CANDIDATES]
        codes, scores = codes[best], scores[best]
        moved = model.space.coding.moved(np.repeat(codes[:10], 12, axis=0), 0.15 * 0.5**step, rng)
        for other, code in held.items():
            moved[:, other] = code
        moved = _at(model, moved, column, float(codes[0, column]))
        moved = moved[~np.isnan(moved[:, column])]
        codes = np.concatenate([codes, moved])
        scores = np.concatenate([scores, _hopes(model, moved)])
    return codes[np.argsort(-scores, kind="stable")[:CANDIDATES]]


def _hopes(model: LastEpochModel, codes: Floats) -> Floats:
    mean, deviation = model.mean_and_deviation(codes)
    return mean + deviation
