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
from ubn_sweep.records.fronts import front
from ubn_sweep.records.objectives import Objective, objectives_of


@dataclass(frozen=True, kw_only=True)
class Best:
    """The leading trial. Full budget comes first: scores at different epochs do not compare."""

    trial: int
    completed: bool
    scores: tuple[float, ...]
    """One or two, turned so that higher is better."""

    @property
    def rank(self) -> tuple[bool | float, ...]:
        """Of two objectives the first leads."""
        return self.completed, *self.scores


@dataclass(kw_only=True)
class Progress:
    """Adds up events. Copies are independent."""

    started: SweepStarted | None = None
    objectives: tuple[Objective, ...] = ()
    """One or two, from the sweep's record on."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    best: Best | None = None
    unfinished: set[int] = field(default_factory=set)
    """Trials that have begun and not ended."""
    _constraints: dict[str, Constraint] = field(default_factory=dict)
    _running: dict[int, tuple[float, ...]] = field(default_factory=dict)
    """Trial -> the scores of its last epoch; NaN where that epoch broke a constraint."""
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
        """The leading one's name."""
        return self.objectives[0].metric

    @property
    def front(self) -> list[Best]:
        """The completed trials that none beats in both objectives, the best in the first one first.

        With one objective, that is the best of them alone.
        """
        done = [mine for mine in self._ended.values() if mine.completed]
        if any(len(mine.scores) == 1 for mine in done):
            return [max(done, key=lambda mine: mine.rank)]
        return [done[place] for place in front([(mine.scores[0], mine.scores[-1]) for mine in done])]

    def apply(self, event: Event) -> None:
        if isinstance(event, SweepStarted):
            self.started, self._constraints = event, constraints_of(event.spec)
            self.objectives = objectives_of(event.spec)
        elif isinstance(event, TrialCreated):
            self.unfinished.add(event.trial)
        elif isinstance(event, EpochReported):
            broken = bool(unmet(self._constraints, event.metrics))
            self._running[event.trial] = tuple(
                math.nan if broken else objective.score(event.metrics) for objective in self.objectives
            )
        elif isinstance(event, TrialRetried):
            self._take_up(event)
        elif isinstance(event, TrialEnded):
            self.unfinished.discard(event.trial)
            self.counts[event.status] += 1
            scores = self._running.pop(event.trial, (math.nan,))
            if event.status in ("completed", "stopped") and all(map(math.isfinite, scores)):
                mine = Best(trial=event.trial, completed=event.status == "completed", scores=scores)
                self._ended[event.trial] = mine
                self.best = mine if self.best is None or mine.rank > self.best.rank else self.best

    def metrics(self) -> dict[str, float]:
        """The parent run's metrics after a trial's end."""
        found = {f"trials_{status}": float(count) for status, count in self.counts.items()}
        if self.best is not None:
            leading = self.objectives[0]
            found[f"best_{leading.metric}"] = leading.turned(self.best.scores[0])
        if len(self.objectives) > 1:
            found["trials_on_the_front"] = float(len(self.front))
        return found

    def _take_up(self, event: TrialRetried) -> None:
        self.unfinished.add(event.trial)
        if event.was is not None:
            self.counts[event.was] -= 1
        mine = self._ended.pop(event.trial, None)
        if mine is None:
            return
        self._running[event.trial] = mine.scores
        if mine == self.best:
            self.best = max(self._ended.values(), key=lambda other: other.rank, default=None)
