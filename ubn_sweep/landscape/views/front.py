"""The front of two objectives: the finished trials that no other one beats in both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.ranking import score_error
from ubn_sweep.records.fronts import front
from ubn_sweep.records.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class FrontPoint:
    """A finished trial by both objectives, each in its own unit."""

    trial: int
    label: str
    first: float
    second: float
    error: float | None
    """Standard error of the first; None where it is unknown. How the second varies is not recorded."""


@dataclass(frozen=True, kw_only=True)
class FrontView:
    """Of the trials that finished and met the constraints."""

    on_it: tuple[FrontPoint, ...]
    """The best in the first objective first."""
    others: tuple[FrontPoint, ...]

    def has(self, trial: int) -> bool:
        """Whether a trial is on the front."""
        return any(point.trial == trial for point in self.on_it)


def front_view(sweep: SweepView) -> FrontView:
    """Empty where the sweep has one objective, or no trial has finished."""
    second = sweep.second
    if second is None:
        return FrontView(on_it=(), others=())
    points = [_point(sweep, trial, second) for trial in sweep.candidates if second.name in trial.metrics]
    places = front([(sweep.metric.better(point.first), second.better(point.second)) for point in points])
    return FrontView(
        on_it=tuple(points[place] for place in places),
        others=tuple(point for place, point in enumerate(points) if place not in set(places)),
    )


def second_value(sweep: SweepView, trial: TrialView) -> float:
    """A trial's second objective after its last epoch, in its own unit; NaN where there is none."""
    return math.nan if sweep.second is None else trial.metrics.get(sweep.second.name, math.nan)


def _point(sweep: SweepView, trial: TrialView, second: Metric) -> FrontPoint:
    return FrontPoint(
        trial=trial.number,
        label=trial.label,
        first=trial.score,
        second=trial.metrics[second.name],
        error=score_error(sweep, trial),
    )
