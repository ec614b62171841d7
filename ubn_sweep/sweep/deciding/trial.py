"""One trial as the running sweep knows it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ubn_sweep.records.events import Status, StoppedBy
from ubn_sweep.sweep.spec.space import Params


@dataclass(kw_only=True, slots=True)
class SweepTrial:
    """What is known of one trial."""

    number: int
    params: Params
    config: dict[str, Any]
    origin: str
    workers: int = 1
    """Processes that train it together."""
    audit: bool = False
    """Never stopped at a rung."""
    epoch: int = 0
    score: float = math.nan
    """Of the last epoch, turned so that higher is better."""
    value: float = math.nan
    """The objective's, as it was reported then; all else that a trial reports is in the journal alone."""
    second: float | None = None
    """The second objective's score, likewise; None where the sweep has one alone."""
    correct: dict[str, Any] = field(default_factory=dict)
    """Which validation examples were right after the last epoch, packed; of running trials alone."""
    feasible: bool = True
    """Whether its last epoch met the constraints."""
    status: Status | None = None
    """null while it runs or waits."""
    diverged: bool = False
    """Its objective is no number any more, or it said so itself; its end follows."""
    stopped_by: StoppedBy = "rungs"
    """Where it is stopped."""
    cut: bool = False
    """Early stopping has said stop; its end follows."""
    faults: dict[str, int] = field(default_factory=dict)
    """What went wrong since it last got ahead: kind -> times."""
    fault_epoch: int = 0
    """The epoch that it had reached then."""

    @property
    def scores(self) -> tuple[float, ...]:
        """One or two."""
        return (self.score,) if self.second is None else (self.score, self.second)
