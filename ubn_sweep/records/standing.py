"""How a sweep stands, from its journal alone: for `list` and `status`, whoever runs it and wherever."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ubn_sweep.records.events import (
    AttemptStarted,
    EpochReported,
    Event,
    SpecChanged,
    SweepEnded,
    SweepInterrupted,
    SweepStarted,
    TrialCreated,
)
from ubn_sweep.records.progress import Best, Progress
from ubn_sweep.records.task import TaskRecord


@dataclass(kw_only=True)
class Standing:
    """A fold of events that keeps nothing but sums."""

    progress: Progress = field(default_factory=Progress)
    spec: dict[str, Any] = field(default_factory=dict)
    """The sweep's spec as it is by now."""
    created: int = 0
    epochs: int = 0
    attempts: int = 0
    attempt_s: float = 0.0
    """When the last attempt started, in seconds since 1970."""
    last_s: float = 0.0
    """When something was last recorded."""
    ended_before: int = 0
    """Trials that had ended when the last attempt started."""
    ended: bool = False
    rule: str = ""
    """The stop rule that ended it, if one did."""
    word: str | None = None
    """How the last attempt was called when it ended early: `paused`, `stopped`, `interrupted`."""

    @staticmethod
    def of(events: Iterable[Event]) -> Standing:
        """What events add up to."""
        standing = Standing()
        for event in events:
            standing.apply(event)
        return standing

    def apply(self, event: Event) -> None:
        """Takes up the next event."""
        self.progress.apply(event)
        self.last_s = event.time_s
        if isinstance(event, SweepStarted | SpecChanged):
            self.spec = event.spec
        elif isinstance(event, AttemptStarted):
            self.attempts, self.attempt_s = event.attempt, event.time_s
            self.ended_before, self.ended, self.word = self.progress.ended, False, None
        elif isinstance(event, TrialCreated):
            self.created += 1
        elif isinstance(event, EpochReported):
            self.epochs += 1
        elif isinstance(event, SweepInterrupted):
            self.word = event.word
        elif isinstance(event, SweepEnded):
            self.ended, self.rule = True, event.reason

    @property
    def total(self) -> int:
        """Trials asked for; those made, where the space held no more."""
        return self.created if self.ended else max(int(self.spec["search"]["trials"]), self.created)

    @property
    def left_s(self) -> float | None:
        """Time that remains at the last attempt's pace, from the last record on; None until a trial has ended in it."""
        new = self.progress.ended - self.ended_before
        if new == 0:
            return None
        return (self.last_s - self.attempt_s) / new * (self.total - self.progress.ended)

    @property
    def best_value(self) -> float | None:
        """The leading trial's objective, in its own unit."""
        return self.progress.metrics().get(f"best_{self.progress.objective}")

    @property
    def best_text(self) -> str:
        """The same as people read it; `-` where there is none."""
        best = self.progress.best
        return "-" if best is None else self.text(best)

    def values(self, result: Best) -> dict[str, float]:
        """A result's objectives, each in its own unit, by metric."""
        pairs = zip(self.progress.objectives, result.scores, strict=True)
        return {objective.metric: objective.turned(score) for objective, score in pairs}

    def text(self, result: Best) -> str:
        """The same as people read it: `93.21%`; of two objectives `93.21%, 3.914 s`."""
        started = self.progress.started
        assert started is not None
        values = self.values(result)
        if not started.task:  # a journal of version 0.1
            return ", ".join(f"{value:.4g}" for value in values.values())
        task = TaskRecord.from_plain(started.task)
        return ", ".join(task.metric(name).text(value) for name, value in values.items())

    def state(self, *, alive: bool) -> str:
        """`running`, `finished`, or how it ended early. `alive` is whether its process is."""
        if self.ended:
            return "finished"
        if alive:
            return "running"
        return "paused" if self.word == "paused" else "interrupted"
