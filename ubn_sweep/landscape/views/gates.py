"""How often gates are open along the threshold: what the layers recorded at the full budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView

OPEN = "gate_open"
BINS = 8
MIN_TRIALS = 3
NEAR = 0.1
"""Of the range, to both sides: trials that say what happens at a threshold."""


@dataclass(frozen=True, kw_only=True)
class GatePoint:
    """A finished trial: the share of batches of its last epoch with an open gate, mean over the layers."""

    trial: int
    threshold: float
    open: float


@dataclass(frozen=True, kw_only=True)
class GatesView:
    """Empty where no layer reported."""

    points: tuple[GatePoint, ...]
    x: tuple[float, ...]
    """Middles of an eighth of the range each: those with three trials or more."""
    median: tuple[float, ...]


def gates_view(sweep: SweepView) -> GatesView:
    """From the finished trials with a threshold."""
    points = tuple(
        GatePoint(trial=trial.number, threshold=float(trial.params[THRESHOLD]), open=trial.metrics[OPEN])
        for trial in sweep.finished
        if THRESHOLD in trial.params and OPEN in trial.metrics
    )
    if not points:
        return GatesView(points=(), x=(), median=())
    item = sweep.space[THRESHOLD]
    log = bool(item.get("log"))
    ends = np.array([item["low"], item["high"]], dtype=float)
    low, high = np.log(ends) if log else ends
    edges = np.linspace(low, high, BINS + 1)
    at = np.array([point.threshold for point in points])
    place = np.clip(np.searchsorted(edges, np.log(at) if log else at, side="right") - 1, 0, BINS - 1)
    shares = np.array([point.open for point in points])
    kept = [b for b in range(BINS) if (place == b).sum() >= MIN_TRIALS]
    middles = (edges[:-1] + edges[1:]) / 2
    x = np.exp(middles) if log else middles
    return GatesView(
        points=points,
        x=tuple(float(x[b]) for b in kept),
        median=tuple(float(np.median(shares[place == b])) for b in kept),
    )


def open_near(sweep: SweepView, view: GatesView, threshold: float) -> tuple[float, int] | None:
    """(median share of open gates, number of trials) about a threshold; None with fewer than three."""
    item = sweep.space[THRESHOLD]
    reach = NEAR * (item["high"] - item["low"])
    near = [point.open for point in view.points if abs(point.threshold - threshold) <= reach]
    return (float(np.median(near)), len(near)) if len(near) >= MIN_TRIALS else None
