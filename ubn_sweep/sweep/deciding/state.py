"""A sweep's state: what the journal's events add up to, and the next decision. No Ray, no clock but the records'."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ubn_sweep import schema
from ubn_sweep.records.events import (
    STATUSES,
    EpochReported,
    Event,
    FaultKind,
    PriorTrial,
    Status,
    TrialCreated,
    TrialEnded,
    TrialFault,
    TrialRetried,
)
from ubn_sweep.sweep.deciding.memory import SearchMemory
from ubn_sweep.sweep.deciding.rungs import rungs_of
from ubn_sweep.sweep.deciding.warm_starts import warm_starts
from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SweepSpec

Record = Callable[[Event], None]
SEED_LIMIT = 2**31


@dataclass(kw_only=True)
class SweepTrial:
    """What is known of one trial."""

    number: int
    params: Params
    config: dict[str, Any]
    origin: str
    epoch: int = 0
    score: float = math.nan
    """Of the last epoch, turned so that higher is better."""
    metrics: dict[str, float] = field(default_factory=dict)
    correct: dict[str, Any] = field(default_factory=dict)
    """Which validation examples were right after the last epoch, packed; of running trials alone."""
    status: Status | None = None
    """null while it runs or waits."""
    cut: bool = False
    """Early stopping has said stop; its end follows."""
    faults: dict[str, int] = field(default_factory=dict)
    """What went wrong since it last got ahead: kind -> times."""
    fault_epoch: int = 0
    """The epoch that it had reached then."""


class SweepState:
    """Folds events into the sampler's memory, the rungs and the trials, and makes the next event.

    Every change goes through an event: a new one is recorded first and applied then, a replayed one is only
    applied. So a sweep that was killed and resumed decides as if it had never stopped.
    """

    def __init__(self, spec: SweepSpec, *, record: Record, now_s: Callable[[], float] = time.time) -> None:
        self.spec = spec
        self.space = Space(spec)
        self.max_epochs = spec.base.training.epochs
        self.rungs = rungs_of(spec)
        levels = self.rungs.levels if self.rungs is not None else (self.max_epochs,)
        self.memory = SearchMemory(
            self.space,
            sampler=spec.search.sampler,
            seed=spec.search.seed,
            rung_levels=levels,
            max_epochs=self.max_epochs,
        )
        self.trials: dict[int, SweepTrial] = {}
        self.counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self.best: SweepTrial | None = None
        self.exhausted = False
        self._record = record
        self._now_s = now_s
        self._warm_starts = warm_starts(self.space) if spec.search.warm_starts else []
        self._unfinished: list[int] = []
        self._epochs_done = 0

    # ---------------------------------------------------------------- from the journal

    def replay(self, events: Iterable[Event]) -> None:
        """Takes up where a killed sweep left off: what had been decided is carried out, what ran waits to go on."""
        for event in events:
            self._apply(event)
        for trial in list(self.trials.values()):
            if trial.status is None:
                self._end_if_due(trial)
        self._unfinished = [trial.number for trial in self.trials.values() if trial.status is None]

    # ---------------------------------------------------------------- from the running sweep

    def next_trial(self) -> SweepTrial | None:
        """An unfinished trial of before, else a new one; None when all have been handed out."""
        if self._unfinished:
            return self.trials[self._unfinished.pop(0)]
        number = len(self.trials)
        if number >= self.spec.search.trials or self.exhausted:
            return None
        suggestion = self._suggest(number)
        if suggestion is None:
            self.exhausted = True
            return None
        params, origin = suggestion
        config = schema.to_plain(self.space.config(params, seed=self._seed(number)))
        self._do(
            TrialCreated(time_s=self._now_s(), trial=number, params=params, config=config, origin=origin)
        )
        return self.trials[number]

    def report(
        self,
        number: int,
        epoch: int,
        metrics: dict[str, float],
        checkpoint: str | None = None,
        *,
        correct: dict[str, Any] | None = None,
    ) -> bool:
        """Takes an epoch's metrics; True means that the trial is over. An epoch known already changes nothing."""
        trial = self.trials[number]
        if trial.status is not None:
            return True
        if epoch > trial.epoch:
            self._do(
                EpochReported(
                    time_s=self._now_s(), trial=number, epoch=epoch, metrics=metrics, checkpoint=checkpoint
                )
            )
            trial.correct = {} if correct is None else correct
        return self._end_if_due(trial)

    def end(self, number: int, status: Status, reason: str = "") -> None:
        """A trial is over for a reason of its own: it failed, diverged, or its worker was lost."""
        trial = self.trials[number]
        if trial.status is None:
            self._do(
                TrialEnded(
                    time_s=self._now_s(),
                    trial=number,
                    status=status,
                    epoch=trial.epoch,
                    reason=reason,
                    correct=trial.correct,
                )
            )

    def fault(self, number: int, kind: FaultKind, reason: str) -> int:
        """Something went wrong with a trial; how often this kind did since the trial last got ahead."""
        self._do(
            TrialFault(
                time_s=self._now_s(), trial=number, kind=kind, epoch=self.trials[number].epoch, reason=reason
            )
        )
        return self.trials[number].faults[kind]

    def retry_failed(self) -> int:
        """Takes up all failed trials again; how many. They wait like those that a kill left unfinished."""
        failed = [trial.number for trial in self.trials.values() if trial.status == "failed"]
        for number in failed:
            self._do(TrialRetried(time_s=self._now_s(), trial=number))
        self._unfinished += failed
        return len(failed)

    def learn(self, priors: Iterable[PriorTrial]) -> None:
        """Records what earlier sweeps found, for the sampler."""
        for prior in priors:
            self._do(prior)

    # ---------------------------------------------------------------- how far it is

    @property
    def finished(self) -> bool:
        return not self.remaining and all(trial.status is not None for trial in self.trials.values())

    @property
    def remaining(self) -> int:
        """Trials still to be handed out."""
        new = 0 if self.exhausted else self.spec.search.trials - len(self.trials)
        return len(self._unfinished) + max(new, 0)

    @property
    def epochs_done(self) -> int:
        return self._epochs_done

    # ---------------------------------------------------------------- inside

    def _do(self, event: Event) -> None:
        self._record(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        if isinstance(event, TrialCreated):
            self._created(event)
        elif isinstance(event, EpochReported):
            self._reported(event)
        elif isinstance(event, TrialEnded):
            self._ended(event)
        elif isinstance(event, TrialFault):
            self._faulted(event)
        elif isinstance(event, TrialRetried):
            self._retried(event)
        elif isinstance(event, PriorTrial) and self.space.holds(event.params):
            self.memory.add_prior(event.params, event.values, event.status)

    def _created(self, event: TrialCreated) -> None:
        assert event.trial == len(self.trials), "trials are numbered without gaps"
        self.trials[event.trial] = SweepTrial(
            number=event.trial, params=event.params, config=event.config, origin=event.origin
        )
        self.memory.add(event.trial, event.params)

    def _reported(self, event: EpochReported) -> None:
        trial = self.trials[event.trial]
        trial.epoch, trial.metrics = event.epoch, event.metrics
        trial.score = self.spec.objective.score(event.metrics)
        self._epochs_done += 1
        self.memory.report(trial.number, event.epoch, trial.score)
        if not math.isfinite(trial.score):
            return
        if self.rungs is not None and event.epoch < self.max_epochs:
            trial.cut = self.rungs.report(trial.number, event.epoch, trial.score)

    def _ended(self, event: TrialEnded) -> None:
        trial = self.trials[event.trial]
        trial.status, trial.correct = event.status, {}
        self.counts[event.status] += 1
        self.memory.end(event.trial, event.status)
        if event.status in ("completed", "stopped"):
            self.best = trial if self.best is None else max(self.best, trial, key=_rank)

    def _faulted(self, event: TrialFault) -> None:
        """A trial that got further than at its last fault starts with a clean slate."""
        trial = self.trials[event.trial]
        if event.epoch > trial.fault_epoch:
            trial.faults, trial.fault_epoch = {}, event.epoch
        trial.faults[event.kind] = trial.faults.get(event.kind, 0) + 1

    def _retried(self, event: TrialRetried) -> None:
        trial = self.trials[event.trial]
        trial.status, trial.faults = None, {}
        self.counts["failed"] -= 1
        self.memory.add(trial.number, trial.params)

    def _end_if_due(self, trial: SweepTrial) -> bool:
        """Ends a trial that has trained to the end, was cut, or whose objective is no number any more."""
        if trial.epoch > 0 and not math.isfinite(trial.score):
            self.end(trial.number, "diverged", f"{self.spec.objective.metric} is not finite")
        elif trial.epoch >= self.max_epochs:
            self.end(trial.number, "completed")
        elif trial.cut:
            self.end(trial.number, "stopped", f"early stopping at epoch {trial.epoch}")
        return trial.status is not None

    def _suggest(self, number: int) -> tuple[Params, str] | None:
        for name, params in self._warm_starts:
            if not self.memory.has_seen(params):
                return params, f"warm start: {name}"
        return self.memory.suggest(number)

    def _seed(self, number: int) -> int:
        base = self.spec.base.seed
        if self.spec.search.trial_seeds == "same":
            return base
        return (base + number * self.space.task.seeds_per_trial(self.spec.base)) % SEED_LIMIT


def _rank(trial: SweepTrial) -> tuple[bool, float]:
    """Trials at full budget come before stopped ones: scores at different epochs do not compare."""
    return trial.status == "completed", trial.score
