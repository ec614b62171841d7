"""Asynchronous successive halving, the promoting variant: a trial waits at each rung until it is among the best there.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (arXiv 1810.05934), algorithm 2.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from ubn_sweep.sweep.deciding.rungs import RungRecords


class PromotionRungs(RungRecords):
    """The rungs of `Rungs`, with the values that were recorded in each.

    A trial that reaches a rung is recorded and waits. Whenever a worker is free, the best trial that waits among the
    first floor(n / reduction_factor) of the n in its rung goes on, from the highest rung that has one; where none
    has, a new trial begins. In `Rungs` the first trials go on by having come early, and late ones are judged once;
    here a trial may be promoted long after it reached its rung. Higher is better, the older one wins a tie.
    """

    promotes = True

    def report(self, trial: int, epoch: int, value: Any, *, exempt: bool = False) -> bool:
        """Take one report; True means: this trial has reached a rung, and waits there. One that is `exempt` goes on."""
        if epoch >= self.max_epochs:
            return False
        for level in reversed(self._values):
            if epoch >= level and trial not in self._values[level]:
                if self._level_of(trial) > level:
                    return False  # it has been higher
                self._values[level][trial] = value
                return not exempt
        return False

    def promotable(self, waiting: Collection[int]) -> int | None:
        """The trial that shall go on next, of those that wait; None for none."""
        for level in reversed(self._values):
            for trial in self._best_at(level):
                if trial in waiting and self._level_of(trial) == level:
                    return trial
        return None

    def lets_go_on(self, trial: int) -> bool:
        """Whether a trial is among the best of the highest rung that has it, by all that is recorded by now."""
        level = self._level_of(trial)
        return level == 0 or trial in self._best_at(level)

    def reopen(self, trial: int, epoch: int) -> None:
        """A trial goes on after all, from an epoch; what it reached behind that is to be reached again."""
        for level, recorded in self._values.items():
            if level > epoch:
                recorded.pop(trial, None)

    def _level_of(self, trial: int) -> int:
        """The highest rung that has it; 0 for none."""
        return max((level for level, recorded in self._values.items() if trial in recorded), default=0)

    def _best_at(self, level: int) -> list[int]:
        recorded = self._values[level]
        return self._ranked(recorded, math.floor(len(recorded) / self.reduction_factor))

    def _ranked(self, recorded: Mapping[int, Any], most: int) -> list[int]:
        """The best so many trials of a rung, best first."""
        return sorted(recorded, key=lambda trial: (-recorded[trial], trial))[:most]

    def __eq__(self, other: object) -> bool:
        """Equal settings and records; the order of arrival does not matter."""
        if not isinstance(other, PromotionRungs):
            return NotImplemented
        mine, theirs = ((r._values, r.reduction_factor, r.max_epochs) for r in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]  # mutable
