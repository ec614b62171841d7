"""A sweep's state: its history, and the next decision. No Ray, no clock but the records'."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from ubn_sweep.errors import UserError
from ubn_sweep.records.events import (
    EpochReported,
    Event,
    FaultKind,
    PointRefused,
    PriorTrial,
    Status,
    StoppedBy,
    TrialCreated,
    TrialEnded,
    TrialFault,
    TrialPromoted,
    TrialRetried,
)
from ubn_sweep.sweep.deciding.history import SweepHistory
from ubn_sweep.sweep.deciding.race import OUT
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.spec.spec import SweepSpec

Record = Callable[[Event], None]


class SweepState(SweepHistory):
    """A history that goes on: it decides on trials, and makes the next event. All that runs trials asks it.

    Every change goes through an event: a new one is recorded first and applied then, a replayed one is only
    applied. So a sweep that was killed and resumed decides as if it had never stopped.
    """

    def __init__(self, spec: SweepSpec, *, record: Record, now_s: Callable[[], float] = time.time) -> None:
        super().__init__(spec)
        self.ended_by: str | None = None
        """The stop rule that has ended the sweep."""
        self._record = record
        self._now_s = now_s
        self._unfinished: list[int] = []

    # ---------------------------------------------------------------- from the journal

    def replay(self, events: Iterable[Event]) -> None:
        """Takes up where a killed sweep left off: what had been decided is carried out, what ran waits to go on."""
        for event in events:
            self.apply(event)
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
        while self.remaining and (suggestion := self.suggestions.next(number)) is not None:
            params, origin = suggestion
            try:
                config = self.suggestions.config(params, number)
            except UserError as error:
                reason = str(error).removeprefix("the trial's config: ")
                self._do(PointRefused(time_s=self._now_s(), params=params, origin=origin, reason=reason))
                continue
            workers = self.spec.resources.shape(config).workers
            self._do(
                TrialCreated(
                    time_s=self._now_s(),
                    trial=number,
                    params=params,
                    config=config,
                    origin=origin,
                    workers=workers,
                    audit=self.suggestions.is_audit(number, origin),
                )
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
        return self.suggestions.why_none(len(self.trials))

    @property
    def refused(self) -> list[PointRefused]:
        """Points that the trial's config did not allow, in order."""
        return self.suggestions.refused

    # ---------------------------------------------------------------- inside

    def _do(self, event: Event) -> None:
        self._record(event)
        self.apply(event)

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

    def _why(self, trial: SweepTrial) -> str:
        """Of a trial that has diverged, from its scores."""
        names = self.spec.objective.metrics
        bad = [name for name, score in zip(names, trial.scores, strict=True) if not math.isfinite(score)]
        return f"{' and '.join(bad)} is not finite" if bad else f"{' and '.join(names)} is still finite"

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
        """Ends a trial that has diverged, has trained to the end, has reached its target, or was cut."""
        if trial.diverged:
            self._end(trial.number, "diverged", self._why(trial) if why_diverged is None else why_diverged)
        elif trial.epoch >= self.max_epochs:
            self._end(trial.number, "completed")
        elif self._is_at_target(trial):
            self._end(trial.number, "stopped", f"its target was reached in epoch {trial.epoch}", "target")
        elif trial.cut:
            self._end(trial.number, "stopped", f"early stopping at epoch {trial.epoch}")
        elif self.suggestions.gives_up(trial):
            self._end(trial.number, "stopped", OUT)
        return trial.status is not None

    def _is_at_target(self, trial: SweepTrial) -> bool:
        target, objective = self.spec.stop_when.trial_target, self.spec.objective
        return (
            target is not None
            and trial.feasible
            and trial.score >= objective.score({objective.metric: target})
        )
