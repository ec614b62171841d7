"""How much of what varies over a declared space is due to each parameter, and to each two of them together.

Functional analysis of variance: with f_j the mean of f over all parameters but j, the main effect of j is
Var f_j / Var f; that of j and k together beyond both is (Var f_jk - Var f_j - Var f_k) / Var f. Inside each draw from
the posterior, so that each has a band. Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing
Hyperparameter Importance", ICML 2014; Sobol, "Sensitivity estimates for nonlinear mathematical models", 1993.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.surrogate.last_epoch import LastEpochModel

Floats = npt.NDArray[np.float64]
DRAWS = 200
WHOLE = 512
"""Points for the variance of all."""
POINTS = 32
"""Of the other parameters, the same at each place."""
PLACES, PLACES_OF_PAIRS = 7, 4


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Shares of the variance over the space, on the model's own scale, in each draw."""

    names: tuple[str, ...]
    main: Floats
    """(draws, parameters)"""
    pairs: tuple[tuple[str, str], ...]
    together: Floats
    """(draws, pairs): beyond what each of the two does alone."""


def effects(model: LastEpochModel, *, seed: int = 0) -> Effects:
    """Parameters that exist under a condition alone do nothing where they do not exist."""
    rng = np.random.default_rng(seed)
    space, names = model.space, model.space.coding.names
    filling = _filling(space, POINTS, rng)
    groups: list[Floats] = [_filling(space, WHOLE, rng)[:, None, :]]
    singles = [_places(space, column, PLACES) for column in range(len(names))]
    few = [_places(space, column, PLACES_OF_PAIRS) for column in range(len(names))]
    pairs = list(combinations(range(len(names)), 2))
    grids = [[{column: place} for place in places] for column, places in enumerate(singles)]
    grids += [[{i: a, j: b} for a, b in product(few[i], few[j])] for i, j in pairs]
    # Alone, at the places of the pairs: what both do together is what is left.
    grids += [[{column: place} for place in places] for column, places in enumerate(few)]
    at = [held_at(space, filling, held) for grid in grids for held in grid]
    whole = model.averaged(space.existing(groups[0][:, 0])[:, None], DRAWS, np.random.default_rng(seed))[2]
    values = model.averaged(np.stack(at), DRAWS, np.random.default_rng(seed))[2]
    variances, begin = [], 0
    for grid in grids:
        variances.append(values[:, begin : begin + len(grid)].var(axis=1))
        begin += len(grid)
    total = np.maximum(whole.var(axis=1), 1e-12)
    d = len(names)
    alone = variances[d + len(pairs) :]
    together = [variances[d + place] - alone[i] - alone[j] for place, (i, j) in enumerate(pairs)]
    return Effects(
        names=tuple(names),
        main=np.clip(np.stack(variances[:d], axis=1) / total[:, None], 0, 1),
        pairs=tuple((names[i], names[j]) for i, j in pairs),
        together=np.clip(np.stack(together, axis=1) / total[:, None], 0, 1)
        if pairs
        else np.zeros((DRAWS, 0)),
    )


def held_at(space: DeclaredSpace, filling: Floats, held: dict[int, float]) -> Floats:
    """The points with some columns held."""
    codes = filling.copy()
    for column, code in held.items():
        codes[:, column] = code
    return space.existing(codes)


def _filling(space: DeclaredSpace, n: int, rng: np.random.Generator) -> Floats:
    """(n, parameters) codes, spread evenly, of which every parameter exists as yet."""
    engine = qmc.Sobol(d=max(len(space.coding.names), 1), scramble=True, rng=rng)
    return space.coding.at(engine.random(n)[:, : len(space.coding.names)])


def _places(space: DeclaredSpace, column: int, most: int) -> list[float]:
    """Codes of equal weight: all values where those are few, or the middles of equal parts of a range."""
    try:
        values = space.coding.values(column)
    except ValueError:  # a range
        values = []
    if 0 < len(values) <= PLACES:
        return values
    middles = np.tile(((np.arange(most) + 0.5) / most)[:, None], (1, len(space.coding.names)))
    return [float(code) for code in space.coding.snapped(middles)[:, column]]
