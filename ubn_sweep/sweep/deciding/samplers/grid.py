"""A grid: every combination of a few values of each parameter."""

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

STEPS = 5
Values = tuple[float, ...]
"""As Optuna's storages hold them: a number itself, a category's index."""


class NothingLeftError(Exception):
    """A sampler that goes through a list of points has come to its end."""


class _Branch(NamedTuple):
    """One decision on the way to a point: which of a parameter's values; -1 for one that is not on the grid."""

    values: Values
    choice: int


_Path = tuple[_Branch, ...]


class GridSampler(BaseSampler):
    """Suggests each combination once, in an order that the seed draws; NothingLeftError after the last one.

    Ranges are cut into `steps` values, on their own scale; the parameters `listed`, and ranges with a step, have all
    of theirs. Which parameters exist under which conditions is read off the trials so far, as a tree: a branch is
    done when all below it are. Any trial of the study that lies on the grid counts, whoever suggested it.
    """

    def __init__(self, *, seed: int, steps: int = STEPS, listed: Collection[str] = ()) -> None:
        self._seed = seed
        self._steps = steps
        self._listed = frozenset(listed)
        self._others: list[_Path] = []
        """Of the trials before the one that is being asked for."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        others = (t for t in study.get_trials(deepcopy=False) if t.number != trial.number and t.params)
        self._others = [self._path(other) for other in others]
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        before = self._path(trial)
        depth = len(before)
        paths = [path for path in self._others if path[:depth] == before and len(path) > depth]
        values = self._values(param_name, param_distribution)
        fresh = [i for i in range(len(values)) if not _is_done(paths, depth, i)]
        if not fresh:
            raise NothingLeftError
        dice = np.random.default_rng([self._seed, trial.number, depth])
        return param_distribution.to_external_repr(values[fresh[int(dice.integers(len(fresh)))]])

    def _path(self, trial: FrozenTrial) -> _Path:
        path = []
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            values = self._values(name, distribution)
            found = distribution.to_internal_repr(value)
            near = (i for i, v in enumerate(values) if math.isclose(v, found, rel_tol=1e-9, abs_tol=1e-12))
            path.append(_Branch(values, next(near, -1)))
        return tuple(path)

    def _values(self, name: str, distribution: BaseDistribution) -> Values:
        if isinstance(distribution, CategoricalDistribution):
            return tuple(map(float, range(len(distribution.choices))))
        low, high, step = distribution.low, distribution.high, distribution.step
        if step is not None:
            count = round((high - low) / step) + 1
            own_step = isinstance(distribution, FloatDistribution) or step > 1
            if own_step or name in self._listed or count <= self._steps:
                return tuple(min(low + i * step, high) for i in range(count))
        return _cut(low, high, self._steps, log=distribution.log, whole=step is not None)


def _cut(low: float, high: float, steps: int, *, log: bool, whole: bool) -> Values:
    """So many values at equal distances, or ratios on a log scale, both ends among them."""
    inner = np.geomspace(low, high, steps) if log else np.linspace(low, high, steps)
    values = [low, *map(float, inner[1:-1]), high]
    return tuple(dict.fromkeys(round(value) for value in values) if whole else dict.fromkeys(values))


def _is_done(paths: Sequence[_Path], depth: int, choice: int) -> bool:
    """Whether all points below a choice have been tried; each path is known to be longer than `depth`."""
    below = [path for path in paths if path[depth].choice == choice]
    deeper = [path for path in below if len(path) > depth + 1]
    if not below or not deeper:
        return len(below) > 0  # the choice was the last one, or nobody has been there
    values = deeper[0][depth + 1].values
    return all(_is_done(deeper, depth + 1, i) for i in range(len(values)))
