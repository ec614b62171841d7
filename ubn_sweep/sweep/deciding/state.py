"""A sweep's state: what the journal's events add up to, and the next decision. No Ray, no clock but the records'."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from ubn_sweep import schema
from ubn_sweep.dotted import set_at
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import (
    STATUSES,
    EpochReported,
    Event,
    FaultKind,
    PointRefused,
    PriorTrial,
    SpecChanged,
    Status,
    StoppedBy,
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
from ubn_sweep.sweep.deciding.stop_rules import StopRules
from ubn_sweep.sweep.deciding.warm_starts import first_points
from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SweepSpec

Record = Callable[[Event], None]
SEED_LIMIT = 2**31
REFUSALS_BEFORE_RANDOM = 5
"""In a row; a sampler that has settled on points which are not allowed would not come away from them."""
MOST_REFUSALS = 100
"""In a row; then the sweep ends."""
GRID_DONE = "every point of the grid has been tried: the sweep ended early"
EXHAUSTED = "the space holds no further config that differs: the sweep ended early"


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
    feasible: bool = True
    """Whether its last epoch met the constraints."""
    status: Status | None = None
    """null while it runs or waits."""
    diverged: bool = False
    """Its objective is no number any more, or it said so itself; its end follows."""
    stopped_by: StoppedBy = "rungs"
    """Where it is stopped."""
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
        self.rungs = early_stopping_of(spec)
        levels = self.rungs.levels if self.rungs is not None else (self.max_epochs,)
        self.memory = SearchMemory(self.space, spec.search, rung_levels=levels, max_epochs=self.max_epochs)
        self.trials: dict[int, SweepTrial] = {}
        self.counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        self.best: SweepTrial | None = None
        self.waiting: set[int] = set()
        """Trials that have reached a rung, and wait there to be promoted."""
        self.refused: list[PointRefused] = []
        """Points that the trial's config did not allow, in order."""
        self._refused_in_a_row = 0
        self._found_none = False
        self._asked = spec.search.trials
        """How many trials the spec that was in force asked for, while events are replayed."""
        self.rules = StopRules(spec)
        self.ended_by: str | None = None
        """The stop rule that has ended the sweep."""
        self._record = record
        self._now_s = now_s
        self._first = first_points(self.space, spec.search)
        self._unfinished: list[int] = []
        self._epochs_done = 0

    # ---------------------------------------------------------------- from the journal

    def replay(self, events: Iterable[Event]) -> None:
        """Takes up where a killed sweep left off: what had been decided is carried out, what ran waits to go on."""
        for event in events:
            self._apply(event)
        self.rules.pause()
        for trial in list(self.trials.values()):
            if trial.status is None:
                self._end_if_due(trial)
        self._unfinished = [
            trial.number
            for trial in self.trials.values()
            if trial.status is None and trial.number not in self.waiting
        ]
        self._end_waiting_if_due()

    # ---------------------------------------------------------------- from the running sweep

    def next_trial(self) -> SweepTrial | None:
        """An unfinished trial of before, one that is promoted, else a new one; None when there is none for now.

        A point that the trial's config does not allow, which the check of the spec has missed, is recorded, and
        another one drawn.
        """
        if self.ended_by is not None:
            return None
        if self._unfinished:
            return self.trials[self._unfinished.pop(0)]
        promoted = self._promotable()
        if promoted is not None:
            epoch = self.trials[promoted].epoch
            self._do(TrialPromoted(time_s=self._now_s(), trial=promoted, epoch=epoch))
            return self.trials[promoted]
        number = len(self.trials)
        while self.remaining and (suggestion := self._suggest()) is not None:
            params, origin = suggestion
            try:
                config = schema.to_plain(self.space.config(params, seed=self._seed(number)))
            except UserError as error:
                reason = str(error).removeprefix("the trial's config: ")
                self._do(PointRefused(time_s=self._now_s(), params=params, origin=origin, reason=reason))
                continue
            self._do(
                TrialCreated(time_s=self._now_s(), trial=number, params=params, config=config, origin=origin)
            )
            return self.trials[number]
        self._end_waiting_if_due()
        return None

    def report(
        self,
        number: int,
        epoch: int,
        metrics: dict[str, float],
        checkpoint: str | None = None,
        *,
        diverged: str | None = None,
        correct: dict[str, Any] | None = None,
    ) -> bool:
        """Takes an epoch's metrics; True means that the trial is over, or waits at a rung.

        An epoch known already changes nothing. `diverged` is why the trial itself says that it did, whatever its
        objective.
        """
        trial = self.trials[number]
        if trial.status is not None:
            return True
        if epoch > trial.epoch:
            self._do(
                EpochReported(
                    time_s=self._now_s(),
                    trial=number,
                    epoch=epoch,
                    metrics=metrics,
                    checkpoint=checkpoint,
                    diverged=diverged is not None,
                )
            )
            trial.correct = {} if correct is None else correct
        stops = self._end_if_due(trial, diverged) or number in self.waiting
        self._end_waiting_if_due()
        return stops

    def end(self, number: int, status: Status, reason: str = "", stopped_by: StoppedBy = "rungs") -> None:
        """A trial is over for a reason of its own: it failed, diverged, or its worker was lost."""
        self._end(number, status, reason, stopped_by)
        self._end_waiting_if_due()

    def fault(self, number: int, kind: FaultKind, reason: str) -> int:
        """Something went wrong with a trial; how often this kind did since the trial last got ahead."""
        self._do(
            TrialFault(
                time_s=self._now_s(), trial=number, kind=kind, epoch=self.trials[number].epoch, reason=reason
            )
        )
        return self.trials[number].faults[kind]

    def take_up(self, event: TrialRetried) -> None:
        """A trial that had ended waits to go on, like those that a kill left unfinished."""
        self._do(event)
        if event.trial not in self._unfinished and event.trial not in self.waiting:
            self._unfinished.append(event.trial)

    def end_by_rule(self) -> bool:
        """Whether a stop rule is met; then all that is open ends here and now, and nothing new begins."""
        if self.ended_by is None and (rule := self.rules.met(self._now_s())) is not None:
            self.ended_by = rule
            for trial in self.trials.values():
                self._end(trial.number, "stopped", f"the sweep ended: {rule}", "rule")
            self._unfinished.clear()
        return self.ended_by is not None

    def note(self, event: Event) -> None:
        """Records what others decided: an attempt begins, the user changed the spec."""
        self._do(event)

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
        if self.ended_by is not None:
            return 0
        new = 0 if self.ending is not None else self.spec.search.trials - len(self.trials)
        return len(self._unfinished) + max(new, 0)

    @property
    def ending(self) -> str | None:
        """Why no more trials are made, though fewer were than asked for; None where that is not so."""
        if len(self.trials) >= self.spec.search.trials:
            return None
        if self._found_none or self.memory.is_used_up:
            return GRID_DONE if self.spec.search.sampler == "grid" else EXHAUSTED
        if self._refused_in_a_row >= MOST_REFUSALS:
            return (
                f"the last {MOST_REFUSALS} points in a row were refused, the last of them because "
                f"{self.refused[-1].reason}; narrow the space"
            )
        return None

    @property
    def epochs_done(self) -> int:
        return self._epochs_done

    # ---------------------------------------------------------------- inside

    def _do(self, event: Event) -> None:
        self._record(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        self.rules.apply(event)
        if isinstance(event, TrialCreated):
            self._created(event)
        elif isinstance(event, PointRefused):
            self.refused.append(event)
            self._refused_in_a_row += 1
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
            self._asked = int(event.spec["search"]["trials"])
        elif isinstance(event, SweepEnded):
            went_out = event.reason == "" and self._refused_in_a_row < MOST_REFUSALS
            self._found_none = went_out and len(self.trials) < self._asked
        elif isinstance(event, TrialRetried):
            self._retried(event)
        elif isinstance(event, PriorTrial) and self.space.holds(event.params):
            self.memory.add_prior(event.params, event.values, event.status)

    def _created(self, event: TrialCreated) -> None:
        assert event.trial == len(self.trials), "trials are numbered without gaps"
        self.trials[event.trial] = SweepTrial(
            number=event.trial, params=event.params, config=event.config, origin=event.origin
        )
        self._refused_in_a_row = 0
        self.memory.add(event.trial, event.params, event.origin)

    def _reported(self, event: EpochReported) -> None:
        trial = self.trials[event.trial]
        self._leave_rung(trial)  # it trains, so it does not wait: early stopping was of another kind then
        trial.epoch, trial.metrics = event.epoch, event.metrics
        trial.score = self.spec.objective.score(event.metrics)
        self._epochs_done += 1
        trial.feasible = self.spec.objective.meets(event.metrics)
        # To the sampler, what breaks a constraint is like what diverges: a region to be asked for less.
        self.memory.report(trial.number, event.epoch, trial.score if trial.feasible else math.nan)
        trial.diverged = event.diverged or not math.isfinite(trial.score)
        if trial.diverged or self.rungs is None or event.epoch >= self.max_epochs:
            return
        value = trial.score if trial.feasible else below_all(trial.score)
        held = self.rungs.report(trial.number, event.epoch, value)
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
        if _has_result(trial):
            self.best = trial if self.best is None else max(self.best, trial, key=_rank)

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
            self.best = max(filter(_has_result, self.trials.values()), key=_rank, default=None)

    def _end(self, number: int, status: Status, reason: str = "", stopped_by: StoppedBy = "rungs") -> None:
        trial = self.trials[number]
        if trial.status is None:
            self._do(
                TrialEnded(
                    time_s=self._now_s(),
                    trial=number,
                    status=status,
                    epoch=trial.epoch,
                    reason=reason,
                    stopped_by=stopped_by,
                    correct=trial.correct,
                )
            )

    def _leave_rung(self, trial: SweepTrial) -> None:
        if trial.number in self.waiting:
            self.waiting.discard(trial.number)
            self.memory.go_on(trial.number, trial.params)

    def _promotable(self) -> int | None:
        return None if self.rungs is None or not self.waiting else self.rungs.promotable(self.waiting)

    def _end_waiting_if_due(self) -> None:
        """Ends the trials that wait at rungs, where nothing is left that could still promote one of them."""
        unended = len(self.trials) - sum(self.counts.values())
        if self.remaining or not 0 < unended == len(self.waiting) or self._promotable() is not None:
            return
        for number in sorted(self.waiting):
            self._end(number, "stopped", f"early stopping at epoch {self.trials[number].epoch}")

    def _end_if_due(self, trial: SweepTrial, why_diverged: str | None = None) -> bool:
        """Ends a trial that has diverged, has trained to the end, or was cut."""
        if trial.diverged:
            metric_is = "is still finite" if math.isfinite(trial.score) else "is not finite"
            reason = f"{self.spec.objective.metric} {metric_is}" if why_diverged is None else why_diverged
            self._end(trial.number, "diverged", reason)
        elif trial.epoch >= self.max_epochs:
            self._end(trial.number, "completed")
        elif trial.cut:
            self._end(trial.number, "stopped", f"early stopping at epoch {trial.epoch}")
        return trial.status is not None

    def _suggest(self) -> tuple[Params, str] | None:
        for origin, params in self._first:
            if not self.memory.has_seen(params):
                return params, origin
        suggestion = self.memory.suggest(
            len(self.trials) + len(self.refused),
            at_random=self._refused_in_a_row >= REFUSALS_BEFORE_RANDOM,
        )
        self._found_none = suggestion is None
        return suggestion

    def _seed(self, number: int) -> int:
        base = self.spec.base.seed
        if self.spec.search.trial_seeds == "same":
            return base
        return (base + number * self.space.task.seeds_per_trial(self.spec.base)) % SEED_LIMIT


def below_all(score: float) -> float:
    """A number below all scores, the higher the better the score: for trials that break a constraint."""
    return -1e300 * (1 - (0.5 + math.atan(score) / math.pi))


def _has_result(trial: SweepTrial) -> bool:
    return trial.status in ("completed", "stopped") and trial.epoch > 0 and trial.feasible


def _rank(trial: SweepTrial) -> tuple[bool, float]:
    """Trials at full budget come before stopped ones: scores at different epochs do not compare."""
    return trial.status == "completed", trial.score
