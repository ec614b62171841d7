"""Asynchronous successive halving that looks back: a trial at a rung is judged again at the rungs below."""

from __future__ import annotations

from ubn_sweep.sweep.deciding.rungs import Rungs


class ReviewedRungs(Rungs):
    """The rungs of `Rungs`; besides, a trial that reaches one must still be among the best of each rung below it.

    In `Rungs` the first trials of a sweep pass because nothing was there to compare them with, and train to the end
    however bad they turn out to be: with 8 workers, a good part of a sweep's first epochs. Here they are compared once
    more, at the next rung, with all that has come to the rungs below by then. A trial stops where, at any rung below,

        its value < quantile(recorded by now, 1 - 1 / reduction_factor), of more than `reduction_factor` values

    Pure like `Rungs`: the same reports in the same order give the same decisions.
    """

    def lets_go_on(self, trial: int) -> bool:
        """Whether a trial passes all rungs that have it, by all values that are recorded there by now."""
        return super().lets_go_on(trial) and not any(self._is_behind(trial, level) for level in self._values)

    def _is_cut(self, trial: int, epoch: int, value: float) -> bool:
        below = self._reached(trial)
        if super()._is_cut(trial, epoch, value):
            return True
        is_at_a_rung = self._reached(trial) != below
        return is_at_a_rung and any(self._is_behind(trial, level) for level in below)

    def _reached(self, trial: int) -> list[int]:
        return [level for level, recorded in self._values.items() if trial in recorded]

    def _is_behind(self, trial: int, level: int) -> bool:
        recorded = self._values[level]
        if trial not in recorded or len(recorded) <= self.reduction_factor:
            return False
        cutoff = self.cutoff(level)
        return cutoff is not None and recorded[trial] < cutoff
