"""How far a running sweep is, and how long it will still take: numbers for whoever shows them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ubn_sweep.sweep.deciding.state import SweepState, SweepTrial


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """One look at a sweep."""

    elapsed_s: float
    ended: int
    total: int
    left_s: float | None
    """null until a trial has ended."""
    counts: dict[str, int]
    running: tuple[SweepTrial, ...]
    best: SweepTrial | None
    epochs_done: int
    epochs_per_s: float


class Watcher:
    """Looks at a state from another thread. It only reads, and takes copies of what may change meanwhile."""

    def __init__(self, state: SweepState) -> None:
        self._state = state
        self._started_s = time.monotonic()
        self._ended_before = sum(state.counts.values())
        self._epochs_before = state.epochs_done

    def look(self) -> Outlook:
        state = self._state
        elapsed_s = time.monotonic() - self._started_s
        ended = sum(state.counts.values())
        no_more = state.ending is not None or state.ended_by is not None
        total = len(state.trials) if no_more else max(state.spec.search.trials, len(state.trials))
        new = ended - self._ended_before
        waiting = set(state.waiting)
        running = tuple(
            trial
            for trial in list(state.trials.values())
            if trial.status is None and trial.number not in waiting
        )
        return Outlook(
            elapsed_s=elapsed_s,
            ended=ended,
            total=total,
            left_s=elapsed_s / new * (total - ended) if new > 0 else None,
            counts=dict(state.counts),
            running=running,
            best=state.best,
            epochs_done=state.epochs_done,
            epochs_per_s=(state.epochs_done - self._epochs_before) / elapsed_s if elapsed_s > 0 else 0.0,
        )
