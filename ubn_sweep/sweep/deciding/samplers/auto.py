"""The default sampler: a Gaussian process over configuration and epoch, asked for the end of training."""

import math
import warnings
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from ubn_sweep.one_thread import one_thread
from ubn_sweep.surrogate.coding import Activity, Coding, at_position, keys_of
from ubn_sweep.surrogate.process import Posterior, Rows, fit_kernel
from ubn_sweep.sweep.deciding.samplers.acquisition import best_candidate, log_expected_improvement
from ubn_sweep.sweep.deciding.samplers.records import Point, considered, kept, points_of, rows_of, unended

Floats = npt.NDArray[np.float64]


class AutoSampler(BaseSampler):
    """Learns from all epochs of all trials, stopped ones too, what a configuration is worth at the end.

    1. The first `n_startup` trials cover every parameter's range evenly (a Latin hypercube).
    2. Then each suggestion maximises the expected improvement of the value at the last epoch over the best
       value that the model expects of any configuration tried. Running and stopped trials count as ended
       with their expected value: parallel workers spread, and what was stopped is not asked for again.
    3. Every `random_every`-th trial is random: insurance against a model that has settled on a wrong region.

    Works on define-by-run spaces with conditions. If the model fails, the suggestion is random.
    """

    def __init__(
        self,
        *,
        seed: int,
        rung_levels: Sequence[int],
        max_epochs: int,
        n_startup: int = 10,
        random_every: int = 12,
        margin: float = 0.05,
        max_trials: int = 1000,
        max_rows: int = 500,
        max_rows_fit: int = 150,
    ):
        self._seed = seed
        self._rung_levels = tuple(rung_levels)
        self._max_epochs = max_epochs
        self._n_startup = n_startup
        self._random_every = random_every
        self._margin = margin
        self._max_trials = max_trials
        self._max_rows = max_rows
        self._max_rows_fit = max_rows_fit
        self._has_warned = False

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Every parameter seen in any trial, with its newest distribution."""
        seen: dict[str, BaseDistribution] = {}
        for known in study.get_trials(deepcopy=False):
            seen.update(known.distributions)
        return seen

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        position = self._position(trial.number, param_name, attempt=0)
        return at_position(param_distribution, position)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        space = Coding(search_space)
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number and t.params]
        trials = considered(others, self._max_trials)
        if not space.names:
            return {}
        codes = space.codes([t.params for t in trials])
        is_due = trial.number >= self._n_startup and trial.number % self._random_every != 0
        points = points_of(trials, self._rung_levels, self._max_epochs) if is_due else []
        if points:  # where all have failed there is nothing to learn
            try:
                rng = np.random.default_rng([self._seed, trial.number])
                with one_thread():
                    return space.params(self._modelled(space, codes, trials, points, rng))
            except Exception as error:
                self._warn(error)
        return space.params(self._unmodelled(space, codes, trial.number))

    def _modelled(
        self,
        space: Coding,
        codes: Floats,
        trials: Sequence[FrozenTrial],
        points: Sequence[Point],
        rng: np.random.Generator,
    ) -> Floats:
        x = space.features(codes)
        target = math.log(self._max_epochs)
        rows = rows_of(kept(points, self._max_rows), x)
        kernel = fit_kernel(_subset(rows, self._max_rows_fit, rng), space.parameter_of_column)
        known = Posterior(kernel, rows)
        tried = np.unique(rows.trial)
        expected = known.mean(x[tried], target)
        posterior = known.believing(x[unended(trials)], target)
        best = float(expected.max()) + self._margin
        taken = set(keys_of(codes))

        def score(asked: Floats) -> Floats:
            mean, deviation = posterior.mean_and_deviation(space.features(asked), target)
            is_new = np.array([key not in taken for key in keys_of(asked)])
            return np.where(is_new, log_expected_improvement(mean, deviation, best), -np.inf)

        starts = codes[tried[np.argsort(-expected, kind="stable")[:5]]]
        return best_candidate(score=score, space=space, activity=Activity(codes), starts=starts, rng=rng)

    def _unmodelled(self, space: Coding, codes: Floats, number: int) -> Floats:
        """Random; where that was tried already (small spaces), drawn again a few times."""
        activity, taken = Activity(codes), set(keys_of(codes))
        for attempt in range(20):
            drawn = np.array([[self._position(number, name, attempt) for name in space.names]])
            code = activity.apply(space.at(drawn))
            if keys_of(code)[0] not in taken:
                break
        return code[0]

    def _position(self, number: int, name: str, attempt: int) -> float:
        """In [0, 1): for the first trials stratified by parameter, then random."""
        key = zlib.crc32(name.encode())
        uniform = np.random.default_rng([self._seed, number, key, attempt]).random()
        if number >= self._n_startup or attempt > 0:
            return float(uniform)
        order = np.random.default_rng([self._seed, key]).permutation(self._n_startup)
        return float((order[number] + uniform) / self._n_startup)

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"the model of the sampler failed ({type(error).__name__}: {error}); suggestions are random "
                "where it fails. This is reported once.",
                stacklevel=2,
            )


def _subset(rows: Rows, limit: int, rng: np.random.Generator) -> Rows:
    """Half of the limit from the best values, half drawn from the rest: what the kernel is fitted to."""
    if len(rows) <= limit:
        return rows
    order = np.argsort(-rows.y, kind="stable")
    rest = rng.choice(order[limit // 2 :], limit - limit // 2, replace=False)
    return rows.take(np.sort(np.concatenate([order[: limit // 2], rest])))
