"""Successive halving for two objectives: at a rung trials are compared front by front, and within one by its spread.

Source: Schmucker et al., "Multi-objective Asynchronous Successive Halving", arXiv 2106.12639.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from ubn_sweep.records.fronts import Pair, best_first
from ubn_sweep.sweep.deciding.promotion import PromotionRungs
from ubn_sweep.sweep.deciding.rungs import RungRecords


class FrontRungs(RungRecords):
    """The stopping variant: a trial that reaches a rung goes on when it is among the first max(1, floor(n /
    reduction_factor)) of the n recorded there with it, in the order of `best_first`, and stops otherwise.

    Values are pairs, turned so that higher is better. A trial that was told to stop is told so again.
    """

    promotes = False

    def __init__(self, *, grace_epochs: int, reduction_factor: float, max_epochs: int):
        super().__init__(grace_epochs=grace_epochs, reduction_factor=reduction_factor, max_epochs=max_epochs)
        self._stopped: set[int] = set()

    def report(self, trial: int, epoch: int, value: Pair, *, exempt: bool = False) -> bool:
        """Takes one report; True means: stop this trial now. What was taken before changes nothing.

        One that is `exempt` is recorded, and goes on as long as its values are finite.
        """
        if epoch >= self.max_epochs or trial in self._stopped:
            return True
        finite = all(map(math.isfinite, value))
        if not finite or (self._is_cut(trial, epoch, value) and not exempt):
            self._stopped.add(trial)
        return trial in self._stopped

    def promotable(self, waiting: Collection[int]) -> int | None:
        """None: here no trial waits."""
        return None

    def lets_go_on(self, trial: int) -> bool:
        """Whether a trial passes the highest rung that has it, by all values that are recorded there by now."""
        level = next((level for level in reversed(self._values) if trial in self._values[level]), None)
        return level is None or self._is_among_the_first(trial, level)

    def reopen(self, trial: int, epoch: int) -> None:
        """A trial goes on after all, from an epoch; what it reached behind that is to be reached again."""
        self._stopped.discard(trial)
        for level, recorded in self._values.items():
            if level > epoch:
                recorded.pop(trial, None)

    def _is_cut(self, trial: int, epoch: int, value: Pair) -> bool:
        for level in reversed(self._values):
            if epoch >= level and trial not in self._values[level]:
                self._values[level][trial] = value
                return not self._is_among_the_first(trial, level)
        return False

    def _is_among_the_first(self, trial: int, level: int) -> bool:
        recorded = self._values[level]
        return trial in _first(recorded, max(1, math.floor(len(recorded) / self.reduction_factor)))

    def __eq__(self, other: object) -> bool:
        """Equal settings, records and stops; the order of arrival does not matter."""
        if not isinstance(other, FrontRungs):
            return NotImplemented
        mine, theirs = ((r._values, r._stopped, r.reduction_factor, r.max_epochs) for r in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]  # mutable


class FrontPromotionRungs(PromotionRungs):
    """The promoting variant: the order of a rung is that of `best_first`; its values are pairs."""

    def _ranked(self, recorded: Mapping[int, Any], most: int) -> list[int]:
        return _first(recorded, most)


def _first(recorded: Mapping[int, Pair], most: int) -> list[int]:
    """The first so many trials of a rung; of equal ones the older come first."""
    trials = sorted(recorded)
    return [trials[place] for place in best_first([recorded[trial] for trial in trials], most)]
