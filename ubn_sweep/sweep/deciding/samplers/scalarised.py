"""Two objectives for a sampler of one: each suggestion asks for another place on the front.

Source: Knowles, "ParEGO: A Hybrid Algorithm With On-Line Landscape Approximation for Expensive Multiobjective
Optimization Problems", IEEE Transactions on Evolutionary Computation 10 (2006).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ubn_sweep.sweep.deciding.samplers.records import considered

Floats = npt.NDArray[np.float64]
SUM_SHARE = 0.05
"""Of the weighted sum beside the larger lack: of points that tie in that one, it prefers the better in the other."""
LOW_TAIL = 0.1
"""Share of the last results that do not set the scale: one loss of 1e6 would make all others the same."""
MOST_SHOWN = 1000
"""Trials that the sampler is shown: all that the one beneath would look at."""


def second_at(epoch: int) -> str:
    """The user attribute that holds a trial's second score after an epoch; its intermediate values are the first's."""
    return f"second {epoch}"


class ScalarisedSampler(BaseSampler):
    """Shows a sampler one score in place of two, mixed by a weight w that each trial draws from [0, 1]:

        -max(w (1 - u), (1 - w) (1 - v)) - SUM_SHARE (w (1 - u) + (1 - w) (1 - v))

    u and v are the two scores on a scale where 1 is the best last result so far, and 0 the worst but for its LOW_TAIL.
    Every point of a front is the best for some weight. A trial's weight follows from the seed and its number.
    """

    def __init__(self, sampler: BaseSampler, *, seed: int) -> None:
        self._sampler = sampler
        self._seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        weight = float(np.random.default_rng([self._seed, trial.number, 0x2B]).random())
        shown = _Shown(mixed(considered(others, MOST_SHOWN), weight))
        return self._sampler.sample_relative(shown, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


class _Shown(Study):
    """A study of one objective that holds given trials; nothing is written to it."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        made = optuna.create_study(direction="maximize")
        super().__init__(study_name=made.study_name, storage=made._storage)
        self._given = list(trials)

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        found = [trial for trial in self._given if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found


def mixed(trials: Sequence[FrozenTrial], weight: float) -> list[FrozenTrial]:
    """Copies of trials whose values are mixed; what is no number stays so."""
    pairs = [_pairs(trial) for trial in trials]
    last = [found[max(found)] for found in pairs if found]
    known = np.array([pair for pair in last if all(map(math.isfinite, pair))])
    shown = []
    for trial, found in zip(trials, pairs, strict=True):
        one = copy.copy(trial)
        one.intermediate_values = {}
        if found and len(known):
            values = _mix(np.array(list(found.values())), known, weight)
            one.intermediate_values = dict(zip(found, values.tolist(), strict=True))
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and one.intermediate_values:
            one.values = [one.intermediate_values[max(one.intermediate_values)]]
        elif trial.values is not None:
            one.values = None
        shown.append(one)
    return shown


def _pairs(trial: FrozenTrial) -> dict[int, tuple[float, float]]:
    """Epoch -> both scores."""
    return {
        epoch: (value, trial.user_attrs[second_at(epoch)])
        for epoch, value in trial.intermediate_values.items()
        if second_at(epoch) in trial.user_attrs
    }


def _mix(pairs: Floats, known: Floats, weight: float) -> Floats:
    weights = weight, 1 - weight
    lacks = np.stack([w * _lack(pairs[:, i], known[:, i]) for i, w in enumerate(weights)])
    mixture: Floats = -lacks.max(axis=0) - SUM_SHARE * lacks.sum(axis=0)
    return mixture


def _lack(values: Floats, known: Floats) -> Floats:
    """How far values are from the best known one: 0 there, 1 at the worst but for the tail; NaN stays so."""
    low, high = np.quantile(known, LOW_TAIL), known.max()
    return (high - values) / (high - low if high > low else 1.0)
