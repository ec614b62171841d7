"""What a sweep's events add up to: its trials, their rungs, and what the sampler remembers of them."""

from __future__ import annotations

import math
from copy import deepcopy

from ubn_sweep.dotted import set_at
from ubn_sweep.records.events import (
    STATUSES,
    EpochReported,
    Event,
    PointRefused,
    PriorTrial,
    SpecChanged,
    SweepEnded,
    SweepStarted,
    TrialCreated,
    TrialEnded,
    TrialFault,
    TrialPromoted,
    TrialRetried,
)
from ubn_sweep.sweep.deciding.brackets import early_stopping_of
from ubn_sweep.sweep.deciding.memory import SearchMemory
from ubn_sweep.sweep.deciding.race import RaceSuggestions
from ubn_sweep.sweep.deciding.ranking import below_all, front_of, has_result, rank
from ubn_sweep.sweep.deciding.stop_rules import StopRules
from ubn_sweep.sweep.deciding.suggestions import Suggestions
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SweepSpec


class SweepHistory:
    """A fold of events; it decides nothing. The same events give the same history, whenever they are taken up."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.space = Space(spec)
        self.max_epochs = spec.base.training.epochs
        self.rungs = early_stopping_of(spec)
        levels = self.rungs.levels if self.rungs is not None else (self.max_epochs,)
        self.memory = SearchMemory(
            self.space,
            spec.search,
            rung_levels=levels,
            max_epochs=self.max_epochs,
            objectives=len(spec.objective.metrics),
        )
        self.trials: dict[int, SweepTrial] = {}
        self.suggestions = (
            Suggestions(spec, self.space, self.memory)
            if spec.race is None
            else RaceSuggestions(spec.race, self.space, self.trials)
        )
        self.rules = StopRules(spec)
        self.counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self.best: SweepTrial | None = None
        self.waiting: set[int] = set()
        """Trials that have reached a rung, and wait there to be promoted."""
        self.epochs_done = 0

    @property
    def front(self) -> list[SweepTrial]:
        """The completed trials that none beats in both objectives; with one objective, the best of them alone."""
        return front_of(self.trials.values())

    def apply(self, event: Event) -> None:
        """Takes up the next event of the journal."""
        self.rules.apply(event)
        if isinstance(event, TrialCreated):
            self._created(event)
        elif isinstance(event, PointRefused):
            self.suggestions.refuse(event)
            self.memory.refuse(event.params, event.origin)
        elif isinstance(event, EpochReported):
            self._reported(event)
        elif isinstance(event, TrialEnded):
            self._ended(event)
        elif isinstance(event, TrialPromoted):
            self._leave_rung(self.trials[event.trial])
        elif isinstance(event, TrialFault):
            self._faulted(event)
        elif isinstance(event, SweepStarted | SpecChanged):
            self.suggestions.ask_for(int(event.spec["search"]["trials"]))
        elif isinstance(event, SweepEnded):
            self.suggestions.end(event, len(self.trials))
        elif isinstance(event, TrialRetried):
            self._retried(event)
        elif isinstance(event, PriorTrial) and self.space.holds(event.params):
            self.memory.add_prior(event.params, event.values, event.status)

    def _created(self, event: TrialCreated) -> None:
        assert event.trial == len(self.trials), "trials are numbered without gaps"
        self.trials[event.trial] = SweepTrial(
            number=event.trial,
            params=event.params,
            config=event.config,
            origin=event.origin,
            workers=event.workers,
            audit=event.audit,
        )
        if self.rungs is not None:
            self.rungs.enter(event.trial, self._place(event.params))
        self.suggestions.accept()
        self.memory.add(event.trial, event.params, event.origin)

    def _place(self, params: Params) -> float | None:
        """On the axis of a map, from 0 to 1; None where there is none, or the trial has no such parameter."""
        search = self.spec.search
        return self.space.place(search.map.over, params) if search.goal == "map" else None

    def _reported(self, event: EpochReported) -> None:
        trial = self.trials[event.trial]
        self._leave_rung(trial)  # it trains, so it does not wait: early stopping was of another kind then
        trial.epoch = event.epoch
        trial.value = event.metrics.get(self.spec.objective.metric, math.nan)
        trial.score = self.spec.objective.score(event.metrics)
        trial.second = self.spec.objective.second_score(event.metrics)
        self.epochs_done += 1
        trial.feasible = self.spec.objective.meets(event.metrics)
        # To the sampler, what breaks a constraint is like what diverges: a region to be asked for less.
        told = trial.scores if trial.feasible else (math.nan,) * len(trial.scores)
        self.memory.report(trial.number, event.epoch, *told)
        trial.diverged = event.diverged or not all(map(math.isfinite, trial.scores))
        if trial.diverged or self.rungs is None or event.epoch >= self.max_epochs:
            return
        values = trial.scores if trial.feasible else tuple(map(below_all, trial.scores))
        value = values[0] if len(values) == 1 else values
        held = self.rungs.report(trial.number, event.epoch, value, exempt=trial.audit)
        trial.cut = held and not self.rungs.promotes
        if held and self.rungs.promotes:
            self.waiting.add(trial.number)
            self.memory.rest(trial.number)

    def _ended(self, event: TrialEnded) -> None:
        trial = self.trials[event.trial]
        trial.status, trial.stopped_by = event.status, event.stopped_by
        trial.correct = {}
        self.counts[event.status] += 1
        if (
            event.stopped_by != "rule"
        ):  # which says nothing of the trial: the sampler sees one that runs, or waits
            self.memory.end(event.trial, event.status)
            self.waiting.discard(event.trial)
        if has_result(trial):
            self.best = trial if self.best is None else max(self.best, trial, key=rank)

    def _faulted(self, event: TrialFault) -> None:
        """A trial that got further than at its last fault starts with a clean slate."""
        trial = self.trials[event.trial]
        if event.epoch > trial.fault_epoch:
            trial.faults, trial.fault_epoch = {}, event.epoch
        trial.faults[event.kind] = trial.faults.get(event.kind, 0) + 1

    def _retried(self, event: TrialRetried) -> None:
        trial = self.trials[event.trial]
        trial.status, trial.faults, trial.cut = None, {}, False
        if event.was is not None:
            self.counts[event.was] -= 1
            if trial.stopped_by != "rule":
                self.memory.add(trial.number, trial.params)
        trial.config = deepcopy(trial.config)  # the record's own stays as it was
        for key, value in event.changes.items():
            set_at(trial.config, key, value)
        if event.epoch is not None and event.epoch < trial.epoch:
            trial.epoch = event.epoch
            self._leave_rung(trial)
        if self.rungs is not None:
            self.rungs.reopen(trial.number, trial.epoch)
        if self.best is trial:
            self.best = max(filter(has_result, self.trials.values()), key=rank, default=None)

    def _leave_rung(self, trial: SweepTrial) -> None:
        if trial.number in self.waiting:
            self.waiting.discard(trial.number)
            self.memory.go_on(trial.number, trial.params)
