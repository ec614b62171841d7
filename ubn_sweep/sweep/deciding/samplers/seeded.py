"""Optuna's own samplers, made independent of their past."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ubn_sweep.sweep.deciding.samplers.records import considered, has_diverged, poor_value

MOST_SHOWN = 250
"""Trials that a Gaussian process of Optuna's is shown: its cost grows with their cube."""


def trial_seed(seed: int, number: int) -> int:
    """A 32-bit seed for one trial of one sweep."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


class PerTrialSampler(BaseSampler):
    """Gives every trial a fresh sampler, `factory(seed=...)`, so that a restart changes no suggestion."""

    def __init__(self, factory: Callable[..., BaseSampler], *, seed: int):
        self._factory = factory
        self._seed = seed
        self._fresh: tuple[int, BaseSampler] | None = None

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        if self._fresh is None or self._fresh[0] != trial.number:
            self._fresh = (trial.number, self._factory(seed=trial_seed(self._seed, trial.number)))
        return self._fresh[1]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._of(trial).before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._factory(seed=trial_seed(self._seed, trial.number)).after_trial(study, trial, state, values)


class StoppedAsCompleteSampler(BaseSampler):
    """Shows a sampler the stopped trials as complete ones with their last value, those without a result as poor ones.

    For samplers that look at complete trials only (Optuna's GPSampler), which would otherwise learn nothing
    from the four trials in five that successive halving stops. What diverged counts as the worst result, since that
    is the configuration's doing; what failed as a poor one, since a broken machine may have done it.
    """

    def __init__(self, sampler: BaseSampler):
        self._sampler = sampler

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(_with_stopped_as_complete(study), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        shown = _with_stopped_as_complete(study)
        # GPSampler writes the suggestion into its own trial, so the copy needs one.
        copy = shown.ask()
        with threadpool_limits(limits=1):  # as in AutoSampler: waiting threads cost seconds
            return self._sampler.sample_relative(shown, shown.trials[copy.number], search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def _with_stopped_as_complete(study: Study) -> Study:
    shown = optuna.create_study(directions=study.directions, sampler=optuna.samplers.RandomSampler(seed=0))
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    results = {trial.number: value for trial in ended if (value := _result(trial)) is not None}
    for trial in considered(ended, MOST_SHOWN):
        if results and trial.params:
            by_objective = list(zip(*results.values(), strict=True))
            without = [min(values) if has_diverged(trial) else poor_value(values) for values in by_objective]
            values = results.get(trial.number, without)
            shown.add_trial(
                optuna.trial.create_trial(
                    values=values, params=trial.params, distributions=trial.distributions
                )
            )
    return shown


def _result(trial: FrozenTrial) -> list[float] | None:
    """One score or two."""
    if trial.state == TrialState.FAIL:
        return None
    if trial.state == TrialState.COMPLETE or (trial.values is not None and len(trial.values) > 1):
        return trial.values
    last = _last_value(trial)
    return None if last is None else [last]


def _last_value(trial: FrozenTrial) -> float | None:
    finite = {epoch: v for epoch, v in trial.intermediate_values.items() if np.isfinite(v)}
    return finite[max(finite)] if finite else None
