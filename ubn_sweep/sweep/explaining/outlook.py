"""How far a running sweep is, and how long it will still take: numbers for whoever shows them.

Time left = epochs left / epochs per second. Replays of early stopping on the model's curves say how many epochs a trial
takes, by its number: the first ones go far, since there is little to compare them with. What the trials that ended took
corrects that by a factor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.explaining.preview import epochs_by_trial

EXPECTED_AS_TRIALS = 8
"""The expectation counts as much as so many trials that ended."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """One look at a sweep."""

    elapsed_s: float
    ended: int
    total: int
    left_s: float | None
    """null until enough epochs have been told."""
    left_epochs: float
    """Expected, of all trials together."""
    counts: dict[str, int]
    running: tuple[SweepTrial, ...]
    best: SweepTrial | None
    front: tuple[SweepTrial, ...]
    """With two objectives, the completed trials that none beats in both; empty with one."""
    epochs_done: int
    epochs_per_s: float


class Watcher:
    """Looks at a state from another thread. It only reads, and takes copies of what may change meanwhile."""

    def __init__(self, state: SweepState, now_s: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._now_s = now_s
        self._started_s = now_s()
        self._epochs_before = state.epochs_done
        self._first: tuple[float, int] | None = None
        """When the first epochs were told, and how many: what came before was the start-up."""
        self._expected = epochs_by_trial(state.spec)

    def look(self) -> Outlook:
        state = self._state
        elapsed_s = self._now_s() - self._started_s
        ended = sum(state.counts.values())
        no_more = state.ending is not None or state.ended_by is not None
        total = len(state.trials) if no_more else max(state.spec.search.trials, len(state.trials))
        waiting = set(state.waiting)
        open_trials = [trial for trial in list(state.trials.values()) if trial.status is None]
        running = tuple(trial for trial in open_trials if trial.number not in waiting)
        left_epochs = self._left_epochs(total, open_trials, waiting)
        return Outlook(
            elapsed_s=elapsed_s,
            ended=ended,
            total=total,
            left_s=self._left_s(left_epochs),
            left_epochs=left_epochs,
            counts=dict(state.counts),
            running=running,
            best=state.best,
            front=tuple(state.front) if state.spec.objective.second is not None else (),
            epochs_done=state.epochs_done,
            epochs_per_s=(state.epochs_done - self._epochs_before) / elapsed_s if elapsed_s > 0 else 0.0,
        )

    def _left_s(self, left_epochs: float) -> float | None:
        now_s, done = self._now_s(), self._state.epochs_done
        if self._first is None:
            if done > self._epochs_before:
                self._first = (now_s, done)
            return None
        begun_s, before = self._first
        if done == before or now_s <= begun_s:
            return None
        return left_epochs * (now_s - begun_s) / (done - before)

    def _left_epochs(self, total: int, open_trials: list[SweepTrial], waiting: set[int]) -> float:
        trials = list(self._state.trials.values())
        ended = [trial for trial in trials if trial.status is not None]
        ballast = EXPECTED_AS_TRIALS * sum(self._expected) / len(self._expected)
        told, foreseen = sum(t.epoch for t in ended), sum(self._expects(t.number) for t in ended)
        factor = (told + ballast) / (foreseen + ballast)
        left = sum(
            max(factor * self._expects(trial.number) - trial.epoch, 0.0 if trial.number in waiting else 1.0)
            for trial in open_trials
        )
        return left + factor * sum(self._expects(number) for number in range(len(trials), total))

    def _expects(self, trial: int) -> float:
        return self._expected[min(trial, len(self._expected) - 1)]
