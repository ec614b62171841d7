"""An Optuna study in memory, whose samplers are called as Optuna calls them, for points of a space."""

from __future__ import annotations

import copy
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from ubn_sweep.sweep.deciding.samplers.scalarised import second_at
from ubn_sweep.sweep.spec.space import Params, Space

optuna.logging.set_verbosity(optuna.logging.WARNING)
STUDY = "sweep"


class SamplerStudy:
    """What the sampler sees: trials that run, with their scores so far, and trials that ended.

    A suggestion is made for an open trial, one that has no params yet; there is one at most.
    """

    def __init__(self, space: Space, sampler: BaseSampler, *, objectives: int = 1) -> None:
        self._space = space
        self._sampler = sampler
        self._storage = InMemoryStorage()
        study = optuna.create_study(
            storage=self._storage, study_name=STUDY, directions=["maximize"] * objectives, sampler=sampler
        )
        self._study_id = study._study_id
        self._open: int | None = None

    @property
    def trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id)

    @property
    def is_open(self) -> bool:
        """Whether a trial waits for its params."""
        return self._open is not None

    def open(self) -> None:
        """A trial that suggestions can be made for."""
        self._open = self._storage.create_new_trial(self._study_id)

    def give_up(self) -> None:
        """No suggestion was found for the open trial."""
        assert self._open is not None
        self._storage.set_trial_state_values(self._open, TrialState.FAIL)
        self._open = None

    def sample(self, sampler: BaseSampler) -> Params:
        """What a sampler makes of the open trial."""
        study = self._load(sampler)
        assert self._open is not None
        sampler.before_trial(study, self._storage.get_trial(self._open))
        trial = copy.copy(self._storage.get_trial(self._open))
        space = sampler.infer_relative_search_space(study, trial)
        relative = sampler.sample_relative(study, trial, space)

        def ask(name: str, distribution: BaseDistribution) -> Any:
            if name in relative and distribution.single() is False:
                value = relative[name]
            elif distribution.single():
                value = distribution.to_external_repr(_only_value(distribution))
            else:
                value = sampler.sample_independent(study, trial, name, distribution)
            trial.params = {**trial.params, name: value}
            trial.distributions = {**trial.distributions, name: distribution}
            return value

        return self._space.sample(ask)

    def begin(self, params: Params) -> int:
        """A running trial, by its id: the open one where there is one."""
        if self._open is None:
            return self.add(params, TrialState.RUNNING)
        trial, self._open = self._open, None
        values, distributions = self._space.to_optuna(params)
        for name, value in values.items():
            distribution = distributions[name]
            self._storage.set_trial_param(trial, name, distribution.to_internal_repr(value), distribution)
        return trial

    def add(
        self,
        params: Params,
        state: TrialState,
        scores: dict[int, float] | None = None,
        value: float | None = None,
    ) -> int:
        """A trial as a whole, by its id. scores: epoch -> score."""
        values, distributions = self._space.to_optuna(params)
        trial = create_trial(
            state=state,
            params=values,
            distributions=distributions,
            intermediate_values=scores or {},
            value=value,
        )
        return self._storage.create_new_trial(self._study_id, template_trial=trial)

    def show(self, trial: int, epoch: int, score: float, second: float | None = None) -> None:
        """A running trial's score at an epoch, or both of them: Optuna keeps one alone."""
        self._storage.set_trial_intermediate_value(trial, epoch, score)
        if second is not None:
            self._storage.set_trial_user_attr(trial, second_at(epoch), second)

    def end(self, trial: int, state: TrialState, values: list[float] | None) -> None:
        """A trial is over, which its sampler is told first."""
        study = self._load(self._sampler)
        self._sampler.after_trial(study, self._storage.get_trial(trial), state, values)
        self._storage.set_trial_state_values(trial, state, values)

    def _load(self, sampler: BaseSampler) -> Study:
        """An object of its own for each use: it caches the list of trials."""
        return optuna.load_study(study_name=STUDY, storage=self._storage, sampler=sampler)


def _only_value(distribution: BaseDistribution) -> float:
    low = getattr(distribution, "low", None)
    return float(low) if low is not None else 0.0
