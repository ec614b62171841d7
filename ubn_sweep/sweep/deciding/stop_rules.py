"""When a sweep ends before all of its trials do: after hours, epochs, at a target, or when nothing gets better."""

from __future__ import annotations

import math

from ubn_sweep.records.events import (
    AttemptStarted,
    EpochReported,
    Event,
    SweepEnded,
    SweepInterrupted,
    TrialCreated,
    TrialEnded,
    TrialFault,
    TrialPromoted,
)
from ubn_sweep.records.fronts import front
from ubn_sweep.sweep.spec.spec import SweepSpec

IN_AN_ATTEMPT = (TrialCreated, EpochReported, TrialPromoted, TrialFault, SweepInterrupted, SweepEnded)
"""Records that only a running sweep writes: a resume writes others, days later, before it begins."""


class StopRules:
    """A fold of events, and whether a rule of the spec's `stop_when` is met by them: the same after each restart."""

    def __init__(self, spec: SweepSpec) -> None:
        self._rules = spec.stop_when
        self._objective = spec.objective
        self._promotes = spec.early_stopping is not None and spec.early_stopping.kind == "promote"
        self._before_s = 0.0
        """What earlier attempts took."""
        self._begun_s: float | None = None
        self._last_s = 0.0
        self._epochs = 0
        self._reached: str | None = None
        self._scores: dict[int, tuple[float, ...]] = {}
        self._best: tuple[bool, float] | None = None
        self._front: list[tuple[float, float]] = []
        self._best_trial = 0
        self._since_best = 0

    def apply(self, event: Event) -> None:
        """Takes up the next event of the journal."""
        if isinstance(event, AttemptStarted):
            self.pause()
            self._begun_s = self._last_s = event.time_s
        elif isinstance(event, IN_AN_ATTEMPT):
            self._last_s = max(self._last_s, event.time_s)
        if isinstance(event, EpochReported):
            self._reported(event)
        elif isinstance(event, TrialEnded):
            self._ended(event)

    def pause(self) -> None:
        """No attempt runs: its time stands still until the next one begins."""
        self._before_s, self._begun_s = self.elapsed_s(), None

    def elapsed_s(self, now_s: float | None = None) -> float:
        """How long the sweep has run; up to its last record, where no time is given."""
        if self._begun_s is None:
            return self._before_s
        until_s = self._last_s if now_s is None else now_s
        return self._before_s + max(until_s - self._begun_s, 0.0)

    def met(self, now_s: float | None = None) -> str | None:
        """The first rule that is met, in a line; None where none is."""
        rules = self._rules
        if rules.hours is not None and self.elapsed_s(now_s) >= 3600 * rules.hours:
            return f"it has run for {rules.hours:g} hours (stop_when.hours)"
        if rules.epochs is not None and self._epochs >= rules.epochs:
            return f"{self._epochs:,} epochs are trained (stop_when.epochs)"
        if self._reached is not None:
            return self._reached
        most = rules.trials_without_progress
        if most is not None and self._since_best >= most:
            return (
                f"none of the last {self._since_best} trials {self._got_ahead} trial {self._best_trial} "
                "(stop_when.trials_without_progress)"
            )
        return None

    @property
    def _got_ahead(self) -> str:
        return "was better than" if self._objective.second is None else "came onto the front since"

    def _reported(self, event: EpochReported) -> None:
        self._epochs += 1
        score = self._objective.comparable(event.metrics)
        second = self._objective.second_score(event.metrics)
        self._scores[event.trial] = (score,) if second is None else (score, second)
        target = self._rules.target
        if target is None or self._reached is not None or event.diverged or not math.isfinite(score):
            return
        if score >= self._objective.score({self._objective.metric: target}):
            value = event.metrics[self._objective.metric]
            self._reached = (
                f"{self._objective.metric} reached {value:.4g} in trial {event.trial}, epoch {event.epoch} "
                "(stop_when.target)"
            )

    def _ended(self, event: TrialEnded) -> None:
        if event.status == "failed" or event.stopped_by == "rule":
            return
        if (
            event.status == "stopped" and self._promotes
        ):  # it had waited at a rung until nothing else was left
            return
        scores = self._scores.get(event.trial, (math.nan,))
        has_result = event.status in ("completed", "stopped") and all(map(math.isfinite, scores))
        if has_result and self._gets_ahead(event.status == "completed", *scores):
            self._best_trial, self._since_best = event.trial, 0
        elif self._best is not None:
            self._since_best += 1

    def _gets_ahead(self, completed: bool, score: float, second: float | None = None) -> bool:
        """Whether a result is the best so far or, of two objectives, a new one on the front; then it is kept."""
        rank = completed, score
        if second is not None and completed:
            known = [*self._front, (score, second)]
            kept = front(known)
            if len(self._front) not in kept or (score, second) in self._front:
                return False
            self._front = [known[place] for place in kept]
        elif self._best is not None and rank <= self._best:
            return False
        self._best = rank if self._best is None else max(rank, self._best)
        return True
