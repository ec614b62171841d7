"""When trials end before their budget, and when the whole sweep does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class EarlyStoppingConfig:
    """ASHA: of the trials that reach a rung, the best 1/reduction_factor go on.

    Source: Li et al., arXiv 1810.05934.
    """

    kind: Literal["review", "stop", "promote"] = "review"
    """stop: a trial is judged by those before it, and goes on or ends at once. review: so too, and at each rung again
    by all that has come to the rungs below. promote: it waits until it is among the best, and goes on from its
    checkpoint then; its worker takes another one meanwhile."""
    grace_epochs: int = 1
    """No trial is stopped before; the first rung."""
    reduction_factor: float = 3.0
    brackets: int = 1
    """Ladders of rungs beside each other, each of which begins one rung later; a trial belongs to one of them."""

    def __post_init__(self) -> None:
        if self.brackets < 1:
            raise ValueError(
                f"`brackets >= 1` must hold, but got {self.brackets}: 1 is one ladder for all trials"
            )
        if self.grace_epochs < 1:
            raise ValueError(f"`grace_epochs >= 1` must hold, but got {self.grace_epochs}: 1 is the shortest")
        if self.reduction_factor <= 1:
            raise ValueError(
                f"`reduction_factor > 1` must hold, but got {self.reduction_factor}: 3 or 4 is usual"
            )

    def first_rung(self, bracket: int) -> int:
        """The epoch at which trials of a bracket, from 0, are first compared."""
        return math.ceil(self.grace_epochs * self.reduction_factor**bracket)


@dataclass(frozen=True, kw_only=True)
class StopWhenConfig:
    """When the whole sweep ends, whatever is left of its trials. Each rule by itself suffices; null is no rule."""

    hours: float | None = None
    """Of running, over all attempts of the sweep; what lies between them does not count."""
    epochs: int | None = None
    """Trained by all trials together."""
    target: float | None = None
    """A trial reported this value of the objective, in its own unit, or a better one."""
    trial_target: float | None = None
    """A trial that reports this value of the objective, or a better one, ends there; the others go on."""
    trials_without_progress: int | None = None
    """So many trials ended one after another, and none of them was the best. Failed ones do not count."""

    def __post_init__(self) -> None:
        if self.hours is not None and not self.hours > 0:
            raise ValueError(f"`hours > 0` must hold, but got {self.hours}: or leave it out")
        for name in ("epochs", "trials_without_progress"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name} >= 1` must hold, but got {value}: or leave it out")
        for name in ("target", "trial_target"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"`{name}` must be a finite number, but got {value}: or leave it out")
