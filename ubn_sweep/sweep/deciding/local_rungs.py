"""Rungs for a map: a trial is compared with those of about the same place on an axis, so that no part is abandoned."""

from __future__ import annotations

from ubn_sweep.sweep.deciding.rungs import Rungs, quantile

NEIGHBOURS = 9


class LocalRungs(Rungs):
    """Rungs at which a trial competes with the nine recorded there whose place on the axis is nearest to its own.

    Where the axis does not exist (a threshold without a gate), trials compete among themselves.
    """

    def __init__(self, *, grace_epochs: int, reduction_factor: float, max_epochs: int) -> None:
        super().__init__(grace_epochs=grace_epochs, reduction_factor=reduction_factor, max_epochs=max_epochs)
        self._places: dict[int, float | None] = {}

    def enter(self, trial: int, place: float | None) -> None:
        """Where a trial lies on the axis, from 0 to 1; None where the axis does not exist."""
        self._places[trial] = place

    def cutoff_for(self, trial: int, level: int) -> float | None:
        """What this trial must reach at `level` to go on; None while none like it is there."""
        place = self._places.get(trial)
        recorded = [
            (other, value)
            for other, value in self._values[level].items()
            if other != trial and (self._places.get(other) is None) == (place is None)
        ]
        if place is not None:
            recorded.sort(key=lambda item: (abs((self._places[item[0]] or 0.0) - place), item[0]))
            recorded = recorded[:NEIGHBOURS]
        return quantile(sorted(value for _, value in recorded), 1 - 1 / self.reduction_factor)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LocalRungs):
            return NotImplemented
        return super().__eq__(other) is True and self._places == other._places

    __hash__ = None  # mutable
