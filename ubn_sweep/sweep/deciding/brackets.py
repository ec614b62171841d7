"""Several brackets of rungs beside each other, and the early stopping that a spec asks for."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from ubn_sweep.sweep.deciding.front_rungs import FrontPromotionRungs, FrontRungs
from ubn_sweep.sweep.deciding.local_rungs import LocalRungs
from ubn_sweep.sweep.deciding.promotion import PromotionRungs
from ubn_sweep.sweep.deciding.review import ReviewedRungs
from ubn_sweep.sweep.deciding.rungs import Rungs
from ubn_sweep.sweep.spec.spec import SweepSpec


class EarlyStopping(Protocol):
    """Compares trials on their way."""

    @property
    def promotes(self) -> bool:
        """Whether a trial that reached a rung waits there to be promoted; otherwise it goes on, or is stopped."""

    @property
    def levels(self) -> tuple[int, ...]:
        """The epochs at which trials are compared, ascending."""

    @property
    def values(self) -> dict[int, dict[int, Any]]:
        """{level: {trial: value}} in the order of arrival, as a copy."""

    def counts(self) -> dict[int, int]:
        """{level: number of trials recorded there}."""

    def enter(self, trial: int, place: float | None) -> None:
        """Where a trial lies on the axis of a map, from 0 to 1; None where there is no such axis."""

    def report(self, trial: int, epoch: int, value: Any, *, exempt: bool = False) -> bool:
        """Takes one report, a score or a pair of them, higher is better; True: this trial does not go on now.

        One that is `exempt` counts for the others, and always goes on.
        """

    def promotable(self, waiting: Collection[int]) -> int | None:
        """The trial that shall go on next, of those that wait; None for none."""

    def lets_go_on(self, trial: int) -> bool:
        """Whether a trial would go on, by all that is recorded by now."""

    def reopen(self, trial: int, epoch: int) -> None:
        """A trial goes on after all, from an epoch; what it reached behind that is to be reached again."""


class Brackets:
    """Each trial belongs to one of several ladders of rungs, of which each begins one rung later.

    Which one, its number and the seed decide; a ladder of k rungs gets a share proportional to exp(k), as in Ray
    Tune's AsyncHyperBandScheduler. So some trials are never judged by their first epochs.
    """

    def __init__(self, ladders: Sequence[EarlyStopping], *, seed: int) -> None:
        self._ladders = tuple(ladders)
        self._seed = seed
        self._weights = [math.exp(len(ladder.levels)) for ladder in ladders]

    def of(self, trial: int) -> EarlyStopping:
        """The ladder that a trial belongs to."""
        dice = random.Random(f"bracket {self._seed} {trial}")
        return dice.choices(self._ladders, self._weights)[0]

    @property
    def promotes(self) -> bool:
        return self._ladders[0].promotes

    @property
    def levels(self) -> tuple[int, ...]:
        return tuple(sorted({level for ladder in self._ladders for level in ladder.levels}))

    @property
    def values(self) -> dict[int, dict[int, Any]]:
        """Those of all ladders together."""
        found: dict[int, dict[int, Any]] = {level: {} for level in self.levels}
        for ladder in self._ladders:
            for level, recorded in ladder.values.items():
                found[level] |= recorded
        return found

    def counts(self) -> dict[int, int]:
        return {level: len(recorded) for level, recorded in self.values.items()}

    def enter(self, trial: int, place: float | None) -> None:
        self.of(trial).enter(trial, place)

    def report(self, trial: int, epoch: int, value: Any, *, exempt: bool = False) -> bool:
        return self.of(trial).report(trial, epoch, value, exempt=exempt)

    def promotable(self, waiting: Collection[int]) -> int | None:
        found = (ladder.promotable(waiting) for ladder in self._ladders)
        return next((trial for trial in found if trial is not None), None)

    def lets_go_on(self, trial: int) -> bool:
        return self.of(trial).lets_go_on(trial)

    def reopen(self, trial: int, epoch: int) -> None:
        self.of(trial).reopen(trial, epoch)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Brackets):
            return NotImplemented
        return (self._ladders, self._seed) == (other._ladders, other._seed)

    __hash__ = None  # type: ignore[assignment]  # mutable


_KINDS: dict[str, Callable[..., EarlyStopping]] = {
    "promote": PromotionRungs,
    "review": ReviewedRungs,
    "stop": Rungs,
}


def early_stopping_of(spec: SweepSpec) -> EarlyStopping | None:
    """What a spec asks for, with nothing recorded yet; None where it stops no trial early."""
    stopping = spec.early_stopping
    if stopping is None:
        return None
    kind = _kind_of(spec, stopping.kind)
    ladders: list[EarlyStopping] = [
        kind(
            grace_epochs=stopping.first_rung(bracket),
            reduction_factor=stopping.reduction_factor,
            max_epochs=spec.base.training.epochs,
        )
        for bracket in range(stopping.brackets)
    ]
    return ladders[0] if len(ladders) == 1 else Brackets(ladders, seed=spec.search.seed)


def _kind_of(spec: SweepSpec, kind: str) -> Callable[..., EarlyStopping]:
    """Two objectives are compared front by front, and maps place by place: both judge a trial once at each rung."""
    if spec.objective.second is not None:
        return FrontPromotionRungs if kind == "promote" else FrontRungs
    return LocalRungs if spec.search.goal == "map" else _KINDS[kind]
