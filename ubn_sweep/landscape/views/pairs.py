"""The threshold with each other number: what the model expects over both, and how well it knows it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.landscape.views.profile import ProfileView
from ubn_sweep.surrogate.declared import DeclaredSpace

Floats = npt.NDArray[np.float64]
CELLS = 9
"""Along each axis."""
POINTS = 32
"""Of the other parameters, that each cell averages over."""
MOST_PAIRS = 4
NEAR, MIN_NEAR = 0.15, 3
"""A cell has support where so many trials lie so near, in shares of both ranges."""
DIGITS = 5


@dataclass(frozen=True, kw_only=True)
class PairSurface:
    """(cells of the other number, cells of the threshold)."""

    key: str
    title: str
    x: tuple[float, ...]
    """Thresholds in the middle of the cells."""
    y: tuple[float, ...]
    """The other number's values there."""
    mean: tuple[tuple[float | None, ...], ...]
    """Expected at the full budget, the others averaged; None without support."""
    deviation: tuple[tuple[float | None, ...], ...]
    """Of that expectation."""
    trials: int
    """With both, and a score."""

    @property
    def supported(self) -> int:
        """Cells that are shown."""
        return sum(value is not None for row in self.mean for value in row)


@dataclass(frozen=True, kw_only=True)
class PairsView:
    """In the space's order; empty where there is no profile, or no other number."""

    surfaces: tuple[PairSurface, ...]


def pairs_view(modelled: Modelled, profile: ProfileView) -> PairsView:
    """Surfaces of the first four other numbers with any support."""
    if profile.reason is not None:
        return PairsView(surfaces=())
    sweep, space = modelled.sweep, modelled.space
    keys = [
        key
        for key, item in sweep.space.items()
        if key != THRESHOLD and key in space.coding.names and _is_number(item)
    ][:MOST_PAIRS]
    titles = sweep.titles(keys)
    found = [_surface(modelled, key, titles[key]) for key in keys]
    return PairsView(surfaces=tuple(surface for surface in found if surface.supported > 1))


def _is_number(item: dict[str, object]) -> bool:
    values = item.get("values")
    if item["type"] == "ordered" and isinstance(values, list | tuple):
        return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return item["type"] in ("float", "int")


def _surface(modelled: Modelled, key: str, title: str) -> PairSurface:
    sweep, space, model = modelled.sweep, modelled.space, modelled.model
    rng = np.random.default_rng(0)
    across, along = space.column(THRESHOLD), space.column(key)
    x, y = _middles(space, across), _middles(space, along)
    filling = space.points(POINTS, rng, with_parameter=THRESHOLD)
    cells = np.repeat(filling[None], len(x) * len(y), axis=0)
    cells[:, :, across] = np.tile(x, len(y))[:, None]
    cells[:, :, along] = np.repeat(y, len(x))[:, None]
    flat = space.existing(space.coding.snapped(cells.reshape(-1, filling.shape[1])))
    expected, deviation, _ = model.averaged(flat.reshape(cells.shape), 1, rng)
    shape = (len(y), len(x))
    tried = model.tried
    both = tried[~np.isnan(tried[:, [across, along]]).any(axis=1)]
    near = (np.abs(both[:, across, None, None] - x[None, None, :]) <= NEAR) & (
        np.abs(both[:, along, None, None] - y[None, :, None]) <= NEAR
    )
    shown = near.sum(axis=0) >= MIN_NEAR
    own = 1.0 if sweep.metric.direction == "max" else -1.0
    mean = own * model.scale.back(expected).reshape(shape)
    # On the scale's straight part, where all that is worth knowing lies.
    spread = (deviation * model.scale.unit).reshape(shape)
    return PairSurface(
        key=key,
        title=title,
        x=_values(sweep, space, THRESHOLD, x),
        y=_values(sweep, space, key, y),
        mean=_masked(mean, shown),
        deviation=_masked(spread, shown),
        trials=len(both),
    )


def _middles(space: DeclaredSpace, column: int) -> Floats:
    try:
        values = space.coding.values(column)
    except ValueError:  # a range
        values = []
    if 0 < len(values) <= CELLS:
        return np.array(values)
    return (np.arange(CELLS) + 0.5) / CELLS


def _values(sweep: SweepView, space: DeclaredSpace, key: str, places: Floats) -> tuple[float, ...]:
    codes = np.full((len(places), len(space.coding.names)), np.nan)
    codes[:, space.column(key)] = places
    item = sweep.space[key]
    found = [space.coding.params(code)[key] for code in codes]
    return tuple(float(item["values"][value] if item["type"] == "ordered" else value) for value in found)


def _masked(values: Floats, shown: npt.NDArray[np.bool_]) -> tuple[tuple[float | None, ...], ...]:
    return tuple(
        tuple(round(float(v), DIGITS) if s else None for v, s in zip(row, ok, strict=True))
        for row, ok in zip(values, shown, strict=True)
    )
