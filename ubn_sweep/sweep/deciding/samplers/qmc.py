"""Quasi-random points: they cover a space more evenly than random ones do, however many of them are tried."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from scipy.stats import qmc

from ubn_sweep.surrogate.coding import at_position

SEQUENCES = {"sobol": qmc.Sobol, "halton": qmc.Halton}
DIMENSIONS = 64
"""Of the sequence at least; a parameter beyond them gives it one more."""


class QmcSampler(BaseSampler):
    """Trial n gets point n of a scrambled sequence, a dimension for each parameter.

    Optuna's own QMCSampler counts the points in its storage and leaves out what is conditional: a restart would
    repeat points, and the sequence would cover the unconditional parameters alone.
    """

    def __init__(
        self, *, seed: int, sequence: str = "sobol", names: Sequence[str] = (), point: int | None = None
    ) -> None:
        self._seed = seed
        self._point = point
        """Which point, whatever the trial's number."""
        self._sequence = sequence
        self._names = tuple(names)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        place = self._dimension(study, trial, param_name)
        engine = SEQUENCES[self._sequence](
            d=max(DIMENSIONS, place + 1), scramble=True, rng=np.random.default_rng(self._seed)
        )
        point = trial.number if self._point is None else self._point
        if point > 0:  # SciPy's Sobol engine takes no zero here
            engine.fast_forward(point)
        return at_position(param_distribution, float(engine.random(1)[0, place]))

    def _dimension(self, study: Study, trial: FrozenTrial, name: str) -> int:
        order = dict.fromkeys(self._names)
        if name not in order:
            for other in study.get_trials(deepcopy=False)[: trial.number]:
                order |= dict.fromkeys(other.params)
            order |= dict.fromkeys((*trial.params, name))
        return list(order).index(name)
