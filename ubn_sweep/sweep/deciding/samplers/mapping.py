"""The sampler of a map: it asks along one parameter's whole range, and at each place for the best of the others."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc

from ubn_sweep.one_thread import one_thread
from ubn_sweep.surrogate.coding import at_position, keys_of
from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.surrogate.process import Posterior, fit_kernel
from ubn_sweep.surrogate.thinning import latest_and_others
from ubn_sweep.sweep.deciding.samplers.acquisition import log_expected_improvement
from ubn_sweep.sweep.deciding.samplers.records import Point, points_of, rows_of, unended
from ubn_sweep.sweep.deciding.samplers.setting import Setting
from ubn_sweep.sweep.spec.goals import MapConfig

Floats = npt.NDArray[np.float64]
START = 10
"""Trials spread evenly over the whole space, before the model is asked."""
MOST_TRIALS, MOST_ROWS, MOST_FITTED = 600, 400, 150
RANDOM, ROUNDS = 400, 3
PLACES = 17
STRIDES = (0.7548776662466927, 0.5698402909980532)
"""Steps of an additive recurrence in two dimensions, powers of the plastic number's inverse: any regular part of it,
such as what is left where every fourth trial is an audit, is spread evenly, too (of van der Corput's it is not)."""
RULED_OUT_Z = 1.64


class MapSampler(BaseSampler):
    """Learns the profile of one parameter: how good configs are along its range, others at their best and on average.

    1. The first trials cover the whole space evenly (Sobol's sequence).
    2. Then each trial has a place on the axis, from a sequence that leaves no gap, and as its other parameters those of
       the largest expected improvement *there*, at the last epoch. Running and stopped trials count as ended with
       their expected value, so that parallel workers spread. Where the profile is wanted by another parameter, its
       values take turns.

    What is known of the average over the others comes from the sweep's audits, which this sampler is not asked for.
    A suggestion depends on the seed, the trial's number and the study alone. While nothing is known it is spread
    evenly.
    """

    def __init__(self, setting: Setting, of: MapConfig, space: DeclaredSpace) -> None:
        self._seed = setting.seed
        self._rung_levels = setting.rung_levels
        self._max_epochs = setting.max_epochs
        self._of = of
        self._space = space
        self._target = math.log(setting.max_epochs)
        self._column = space.column(of.over)
        self._turns = _turns(space, of.by)
        self._shift = float(np.random.default_rng([setting.seed, 1]).random())

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: self._space.distributions[name] for name in self._space.coding.names}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        place = np.random.default_rng([self._seed, trial.number, 2]).random()
        return at_position(param_distribution, float(place))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        number = trial.number
        others = [t for t in study.get_trials(deepcopy=False) if t.number != number and t.params]
        if number < START or len(others) < START:
            return self._space.coding.params(self._even(number))
        rng = np.random.default_rng([self._seed, number])
        trials = _recent(others, rng)
        points = points_of(trials, self._rung_levels, self._max_epochs)
        if not points:
            return self._space.coding.params(self._even(number))
        with one_thread():
            return self._space.coding.params(self._asked(number, trials, points, rng))

    def _even(self, number: int) -> Floats:
        """Point `number` of Sobol's sequence over the whole space."""
        engine = qmc.Sobol(
            d=len(self._space.coding.names), scramble=True, rng=np.random.default_rng(self._seed)
        )
        if number > 0:
            engine.fast_forward(number)
        return self._space.existing(self._space.coding.at(engine.random(1)))[0]

    def _asked(
        self,
        number: int,
        trials: Sequence[FrozenTrial],
        points: Sequence[Point],
        rng: np.random.Generator,
    ) -> Floats:
        coding = self._space.coding
        codes = coding.codes([t.params for t in trials])
        x = coding.features(codes)
        all_rows = rows_of(points, x)
        rows = all_rows.take(latest_and_others(all_rows.t, MOST_ROWS, rng))
        fitted = rows.take(latest_and_others(rows.t, MOST_FITTED, rng))
        known = Posterior(fit_kernel(fitted, coding.parameter_of_column), rows)
        posterior = known.believing(x[unended(trials)], self._target)
        place = self._place(number, posterior, codes, rng)
        held = self._turns[int(number * STRIDES[1] % 1.0 * len(self._turns))]
        taken = set(keys_of(codes))
        return self._best_there(posterior, codes, place, held, taken, rng)

    def _place(self, number: int, posterior: Posterior, codes: Floats, rng: np.random.Generator) -> float:
        """Where on the axis the next trial lies."""
        place = float((self._shift + number * STRIDES[0]) % 1.0)
        if self._of.where == "everywhere":
            return place
        open_places = self._not_ruled_out(posterior, codes, rng)
        chosen = open_places[min(int(place * len(open_places)), len(open_places) - 1)]
        near = abs(chosen + (rng.random() - 0.5) / (PLACES - 1))
        return float(min(near, 2 - near))  # an end of the range is no better place than its neighbourhood

    def _not_ruled_out(self, posterior: Posterior, codes: Floats, rng: np.random.Generator) -> Floats:
        """Places whose best config may, by the model, be as good as the surest best of all places."""
        lower, upper = [], []
        for place in np.linspace(0, 1, PLACES):
            there = self._candidates(codes, place, {}, rng)
            mean, deviation = posterior.mean_and_deviation(self._space.coding.features(there), self._target)
            lower.append((mean - RULED_OUT_Z * deviation).max())
            upper.append((mean + RULED_OUT_Z * deviation).max())
        return np.linspace(0, 1, PLACES)[np.array(upper) >= max(lower)]

    def _best_there(
        self,
        posterior: Posterior,
        tried: Floats,
        place: float,
        held: dict[int, float],
        taken: set[bytes],
        rng: np.random.Generator,
    ) -> Floats:
        coding = self._space.coding
        codes = self._candidates(tried, place, held, rng)

        def judged(asked: Floats) -> tuple[Floats, Floats]:
            return posterior.mean_and_deviation(coding.features(asked), self._target)

        mean, deviation = judged(codes)
        # The best that is expected at this very place, not of all places: each is to be known.
        best = float(mean.max())

        def score(asked: Floats, mean: Floats, deviation: Floats) -> Floats:
            is_new = np.array([key not in taken for key in keys_of(asked)])
            return np.where(is_new, log_expected_improvement(mean, deviation, best), -np.inf)

        scores = score(codes, mean, deviation)
        for step in range(ROUNDS):
            order = np.argsort(-scores, kind="stable")[:30]
            moved = coding.moved(np.repeat(codes[order[:6]], 20, axis=0), 0.1 * 0.5**step, rng)
            finer = self._there(moved, place, held)
            codes = np.concatenate([codes[order], finer])
            scores = np.concatenate([scores[order], score(finer, *judged(finer))])
        return codes[np.argmax(scores)]

    def _candidates(
        self, tried: Floats, place: float, held: dict[int, float], rng: np.random.Generator
    ) -> Floats:
        """Points at one place: anywhere, and where trials were, with moves from there."""
        coding = self._space.coding
        near = tried[rng.choice(len(tried), min(len(tried), 40), replace=False)]
        drawn = np.concatenate(
            [coding.random(RANDOM, rng), coding.moved(np.repeat(near, 4, axis=0), 0.1, rng)]
        )
        return self._there(drawn, place, held)

    def _there(self, codes: Floats, place: float, held: dict[int, float]) -> Floats:
        """The same points moved to a place on the axis; those where the axis does not exist are left out."""
        out = codes.copy()
        out[:, self._column] = place
        for column, code in held.items():
            out[:, column] = code
        # What is missing in a row may exist where it is moved to.
        out = np.where(np.isnan(out), 0.5, out)
        out = self._space.existing(self._space.coding.snapped(out))
        return out[~np.isnan(out[:, self._column])]


def _turns(space: DeclaredSpace, by: Sequence[str]) -> list[dict[int, float]]:
    """{column: code} of each combination of the values of `by`; one that holds nothing where it is empty."""
    columns = [space.column(name) for name in by if name in space.coding.names]
    values = [space.coding.values(column) for column in columns]
    return [dict(zip(columns, chosen, strict=True)) for chosen in itertools.product(*values)]


def _recent(trials: Sequence[FrozenTrial], rng: np.random.Generator) -> list[FrozenTrial]:
    """All up to a limit; beyond it the running ones, and others at random whatever they were worth."""
    if len(trials) <= MOST_TRIALS:
        return list(trials)
    running = {t.number for t in trials if t.state == TrialState.RUNNING}
    rest = [t.number for t in trials if t.number not in running]
    chosen = running | set(rng.choice(rest, MOST_TRIALS - len(running), replace=False).tolist())
    return [t for t in trials if t.number in chosen]
