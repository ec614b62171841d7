"""How much of a space has what: of points drawn evenly."""

from __future__ import annotations

import random
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ubn_sweep.sweep.spec.space import Space

DRAWS = 1000


def share_active(space: Space, key: str) -> float:
    """Of points drawn evenly, how many have this parameter; 0 where the space does not vary it."""
    if key not in space.keys:
        return 0.0
    dice = random.Random(0)

    def ask(_: str, distribution: BaseDistribution) -> Any:
        if isinstance(distribution, CategoricalDistribution):
            return dice.choice(distribution.choices)
        if isinstance(distribution, IntDistribution):
            return dice.randrange(distribution.low, distribution.high + 1, distribution.step)
        assert isinstance(distribution, FloatDistribution)
        return distribution.low  # conditions ask for values that are listed

    return sum(key in space.sample(ask) for _ in range(DRAWS)) / DRAWS
