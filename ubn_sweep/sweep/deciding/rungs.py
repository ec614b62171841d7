"""Asynchronous successive halving, the stopping variant: which trial goes on, and which stops at a rung.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934, in the form of
Ray Tune's AsyncHyperBandScheduler with one bracket. Pure Python: no Ray, no torch, no clock, no randomness.
"""

import bisect
import math
from collections.abc import Collection, Sequence
from typing import Any


class RungRecords:
    """The rungs at `grace_epochs * reduction_factor ** k`, and what was recorded in each; who goes on is not said."""

    def __init__(self, *, grace_epochs: int, reduction_factor: float, max_epochs: int):
        levels = rung_levels(grace_epochs, reduction_factor, max_epochs)
        self.reduction_factor = reduction_factor
        self.max_epochs = max_epochs
        self._values: dict[int, dict[int, Any]] = {level: {} for level in levels}

    @property
    def levels(self) -> tuple[int, ...]:
        """The epochs at which trials are compared, ascending."""
        return tuple(self._values)

    @property
    def values(self) -> dict[int, dict[int, Any]]:
        """{level: {trial: value}} in the order of arrival, as a copy; a value is a pair where objectives are two."""
        return {level: dict(recorded) for level, recorded in self._values.items()}

    def counts(self) -> dict[int, int]:
        """{level: number of trials recorded there}."""
        return {level: len(recorded) for level, recorded in self._values.items()}

    def enter(self, trial: int, place: float | None) -> None:
        """Where a trial lies on the axis of a map: here all trials compete with all."""


class Rungs(RungRecords):
    """The rungs at `grace_epochs * reduction_factor ** k`, and the finite values that were recorded in each.

    A trial that reaches a rung is compared with the values recorded there before it: it stops when

        value < quantile(recorded, 1 - 1 / reduction_factor)        (linear interpolation; empty: go on)

    and is recorded either way. So the best `1 / reduction_factor` of those seen so far go on; higher is
    better. A trial that was told to stop is told so again whenever it reports again.
    """

    promotes = False

    def __init__(self, *, grace_epochs: int, reduction_factor: float, max_epochs: int):
        super().__init__(grace_epochs=grace_epochs, reduction_factor=reduction_factor, max_epochs=max_epochs)
        self.grace_epochs = grace_epochs
        self._sorted: dict[int, list[float]] = {level: [] for level in self._values}
        self._stopped: set[int] = set()

    @property
    def stopped(self) -> frozenset[int]:
        """The trials that were told to stop before `max_epochs`."""
        return frozenset(self._stopped)

    def cutoff(self, level: int) -> float | None:
        """What a trial must reach at `level` to go on; None while the rung is empty."""
        return quantile(self._sorted[level], 1 - 1 / self.reduction_factor)

    def cutoff_for(self, trial: int, level: int) -> float | None:
        """What this trial must reach there: the same for all."""
        return self.cutoff(level)

    def report(self, trial: int, epoch: int, value: float, *, exempt: bool = False) -> bool:
        """Take one report; True means: stop this trial now. One that is `exempt` is recorded, and goes on.

        The report enters the highest rung that it has reached and that does not have the trial yet. Reports
        that were taken before (replayed after a restart) change nothing. A value that is not finite enters no
        rung and stops its trial.
        """
        if epoch >= self.max_epochs or trial in self._stopped:
            return True
        is_cut = not math.isfinite(value) or self._is_cut(trial, epoch, float(value))
        if is_cut and not exempt:
            self._stopped.add(trial)
        return trial in self._stopped

    def promotable(self, waiting: Collection[int]) -> int | None:
        """None: here no trial waits."""
        return None

    def lets_go_on(self, trial: int) -> bool:
        """Whether a trial passes the highest rung that has it, by all values that are recorded there by now."""
        for level in reversed(self._values):
            if trial in self._values[level]:
                cutoff = self.cutoff_for(trial, level)
                return cutoff is None or self._values[level][trial] >= cutoff
        return True

    def reopen(self, trial: int, epoch: int) -> None:
        """A trial goes on after all, from an epoch; what it reached behind that is to be reached again."""
        self._stopped.discard(trial)
        for level in self._values:
            if level > epoch and trial in self._values[level]:
                self._sorted[level].remove(self._values[level].pop(trial))

    def _is_cut(self, trial: int, epoch: int, value: float) -> bool:
        for level in reversed(self._values):
            if epoch >= level and trial not in self._values[level]:
                cutoff = self.cutoff_for(trial, level)
                self._values[level][trial] = value
                bisect.insort(self._sorted[level], value)
                return cutoff is not None and value < cutoff
        return False

    def __eq__(self, other: object) -> bool:
        """Equal settings, records and stops; the order of arrival does not matter."""
        if not isinstance(other, Rungs):
            return NotImplemented
        mine, theirs = ((rungs._settings(), rungs._values, rungs._stopped) for rungs in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self._settings().items())
        return f"Rungs({settings}, counts={self.counts()})"

    def _settings(self) -> dict[str, float]:
        return {
            "grace_epochs": self.grace_epochs,
            "reduction_factor": self.reduction_factor,
            "max_epochs": self.max_epochs,
        }


def quantile(ascending: Sequence[float], share: float) -> float | None:
    """The value that this share of them lie below, interpolated; None of none."""
    if not ascending:
        return None
    # The rounding of numpy's percentile(values, share * 100), so that ties fall as in Ray.
    position = (len(ascending) - 1) * (share * 100 / 100)
    below = math.floor(position)
    weight = position - below
    low, high = ascending[below], ascending[min(below + 1, len(ascending) - 1)]
    return low + (high - low) * weight if weight < 0.5 else high - (high - low) * (1 - weight)


def rung_levels(grace_epochs: int, reduction_factor: float, max_epochs: int) -> tuple[int, ...]:
    """The epochs `grace_epochs * reduction_factor ** k` up to `max_epochs`.

    Raises:
        ValueError: there is none, or the factor is none.
    """
    if not 1 <= grace_epochs <= max_epochs:
        raise ValueError(
            f"`1 <= grace_epochs <= max_epochs` must hold, but got grace_epochs={grace_epochs} and "
            f"max_epochs={max_epochs}: lower the one or raise the other."
        )
    if not (math.isfinite(reduction_factor) and reduction_factor > 1):
        raise ValueError(
            f"`reduction_factor` must be finite and > 1, but got {reduction_factor}: usual are 3 or 4."
        )
    # Ray's own expression, rounding included, so that both place the last rung alike.
    n_levels = int(math.log(max_epochs / grace_epochs) / math.log(reduction_factor) + 1)
    return tuple(math.ceil(grace_epochs * reduction_factor**k) for k in range(n_levels))
