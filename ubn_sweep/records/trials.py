"""What a sweep's events add up to, trial by trial: the one fold for all who read a journal, or a part of one.

A running sweep folds them in `SweepState` by itself, since it decides something with each of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from ubn_sweep.dotted import set_at
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import (
    AttemptStarted,
    EpochReported,
    Event,
    SpecChanged,
    SweepEnded,
    SweepInterrupted,
    SweepStarted,
    TrialCreated,
    TrialEnded,
    TrialFault,
    TrialRetried,
)

RUNNING = "running"


@dataclass(kw_only=True)
class TrialRecord:
    """One trial as far as the events tell of it."""

    number: int
    creation: TrialCreated | None = None
    """None where the events are a later part of a journal."""
    epochs: dict[int, EpochReported] = field(default_factory=dict)
    """By epoch, in the order in which they were reported."""
    ended: TrialEnded | None = None
    faults: list[TrialFault] = field(default_factory=list)
    """What went wrong, in order; a trial that was tried again may have ended well."""
    retried_s: float | None = None
    """When it was taken up again after it had ended; None where it was not."""

    @property
    def created(self) -> TrialCreated:
        """How it began.

        Raises:
            UserError: the events do not tell.
        """
        if self.creation is None:
            raise UserError(
                f"the journal tells of trial {self.number} before it began: take the sweep's folder from a backup"
            )
        return self.creation

    @property
    def status(self) -> str:
        """How it ended; `running` before that."""
        return RUNNING if self.ended is None else self.ended.status

    @property
    def last_epoch(self) -> int:
        """0 where it reported none."""
        return max(self.epochs, default=0)

    def take_up(self, event: TrialRetried) -> None:
        """It goes on: what is to be trained anew is void."""
        self.ended, self.retried_s = None, event.time_s
        if event.epoch is not None:
            self.epochs = {epoch: report for epoch, report in self.epochs.items() if epoch <= event.epoch}
        if self.creation is not None and event.changes:
            config = deepcopy(self.creation.config)
            for key, value in event.changes.items():
                set_at(config, key, value)
            self.creation = replace(self.creation, config=config)

    def values(self, metric: str) -> dict[int, float]:
        """Epoch -> a metric, of the epochs that reported it, ascending."""
        found = ((epoch, self.epochs[epoch].metrics.get(metric)) for epoch in sorted(self.epochs))
        return {epoch: value for epoch, value in found if value is not None}

    def last_value(self, metric: str) -> float:
        """A metric after the last epoch; NaN where it is absent."""
        return self.epochs[self.last_epoch].metrics.get(metric, math.nan) if self.epochs else math.nan


class Trials:
    """A fold of events, whose parts may be added one by one. The same event twice changes nothing."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.start: SweepStarted | None = None
        """None where the events are a later part of a journal."""
        self.attempts = 0
        """How often the sweep's process had started, by the last one told of."""
        self.ended: SweepEnded | None = None
        """How it ended; None where an attempt followed, for more trials."""
        self.interrupted: SweepInterrupted | None = None
        """How the last attempt ended, where that was early and by the user's will."""
        self._spec: dict[str, Any] | None = None
        self._records: dict[int, TrialRecord] = {}
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Takes up the next event; what is none of the trials' is passed over."""
        if isinstance(event, SweepStarted):
            self.start = event
        elif isinstance(event, AttemptStarted):
            self.attempts, self.ended, self.interrupted = event.attempt, None, None
        elif isinstance(event, TrialCreated):
            self._record(event.trial).creation = event
        elif isinstance(event, EpochReported):
            self._record(event.trial).epochs[event.epoch] = event
        elif isinstance(event, TrialEnded):
            self._record(event.trial).ended = event
        elif isinstance(event, TrialFault):
            if event not in self._record(event.trial).faults:
                self._record(event.trial).faults.append(event)
        elif isinstance(event, TrialRetried):
            self._record(event.trial).take_up(event)
        elif isinstance(event, SweepInterrupted):
            self.interrupted = event
        elif isinstance(event, SpecChanged):
            self._spec = event.spec
        elif isinstance(event, SweepEnded):
            self.ended = event

    @property
    def started(self) -> SweepStarted:
        """The sweep's record.

        Raises:
            UserError: the events do not begin with it.
        """
        if self.start is None:
            raise UserError(
                "the journal does not begin with the sweep's record: the sweep never started; run it anew"
            )
        return self.start

    @property
    def spec(self) -> dict[str, Any]:
        """The sweep's spec as it is by now. Raises UserError as `started` does."""
        return self.started.spec if self._spec is None else self._spec

    def __getitem__(self, number: int) -> TrialRecord:
        return self._records[number]

    def __iter__(self) -> Iterator[TrialRecord]:
        """By number, ascending."""
        return iter([self._records[number] for number in sorted(self._records)])

    def __len__(self) -> int:
        return len(self._records)

    def _record(self, number: int) -> TrialRecord:
        return self._records.setdefault(number, TrialRecord(number=number))
