"""What a sweep's parent run shows: the best so far, and how many trials ended in which way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from ubn_sweep.records.constraints import Constraint, constraints_of, unmet
from ubn_sweep.records.events import (
    STATUSES,
    EpochReported,
    Event,
    SweepStarted,
    TrialCreated,
    TrialEnded,
    TrialRetried,
)


@dataclass(frozen=True, kw_only=True)
class Best:
    """The leading trial. Full budget comes first: scores at different epochs do not compare."""

    trial: int
    completed: bool
    score: float
    """Turned so that higher is better."""

    @property
    def rank(self) -> tuple[bool, float]:
        return self.completed, self.score


@dataclass(kw_only=True)
class Progress:
    """Adds up events. Copies are independent."""

    started: SweepStarted | None = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    best: Best | None = None
    unfinished: set[int] = field(default_factory=set)
    """Trials that have begun and not ended."""
    _constraints: dict[str, Constraint] = field(default_factory=dict)
    _running: dict[int, float] = field(default_factory=dict)
    """Trial -> the objective of its last epoch; NaN where that epoch broke a constraint."""
    _ended: dict[int, Best] = field(default_factory=dict)
    """What trials came to that ended with a result: one of them may be taken up again."""

    def copy(self) -> Progress:
        return replace(
            self,
            counts=dict(self.counts),
            unfinished=set(self.unfinished),
            _running=dict(self._running),
            _ended=dict(self._ended),
        )

    @property
    def ended(self) -> int:
        return sum(self.counts.values())

    @property
    def objective(self) -> str:
        return str(self._objective()["metric"])

    def apply(self, event: Event) -> None:
        if isinstance(event, SweepStarted):
            self.started, self._constraints = event, constraints_of(event.spec)
        elif isinstance(event, TrialCreated):
            self.unfinished.add(event.trial)
        elif isinstance(event, EpochReported):
            value = event.metrics.get(self.objective, math.nan)
            self._running[event.trial] = math.nan if unmet(self._constraints, event.metrics) else value
        elif isinstance(event, TrialRetried):
            self._take_up(event)
        elif isinstance(event, TrialEnded):
            self.unfinished.discard(event.trial)
            self.counts[event.status] += 1
            value = self._running.pop(event.trial, math.nan)
            if event.status in ("completed", "stopped") and math.isfinite(value):
                mine = Best(
                    trial=event.trial, completed=event.status == "completed", score=self._sign * value
                )
                self._ended[event.trial] = mine
                self.best = mine if self.best is None or mine.rank > self.best.rank else self.best

    def metrics(self) -> dict[str, float]:
        """The parent run's metrics after a trial's end."""
        found = {f"trials_{status}": float(count) for status, count in self.counts.items()}
        if self.best is not None:
            found[f"best_{self.objective}"] = self._sign * self.best.score
        return found

    def _take_up(self, event: TrialRetried) -> None:
        self.unfinished.add(event.trial)
        if event.was is not None:
            self.counts[event.was] -= 1
        mine = self._ended.pop(event.trial, None)
        if mine is None:
            return
        self._running[event.trial] = self._sign * mine.score
        if mine == self.best:
            self.best = max(self._ended.values(), key=lambda other: other.rank, default=None)

    @property
    def _sign(self) -> int:
        return -1 if self._objective().get("mode") == "min" else 1

    def _objective(self) -> dict[str, str]:
        assert self.started is not None, "a journal begins with the sweep's record"
        return dict(self.started.spec["objective"])
