"""The feature condensation threshold against the objective: the number that the paper sets by hand.

Arxiv 2311.15993, section 4.3.2, sees no simple relation between threshold and accuracy, and its limitations name
the threshold's setting as the method's cost. So the curve here claims a shape only where the trials show one.
"""

from __future__ import annotations

from dataclasses import dataclass

from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.curve_fit import CurveFit, TooFew, fit_curve
from ubn_sweep.landscape.views.epochs import common_epoch, reached
from ubn_sweep.landscape.views.numbers import (
    MIN_GROUP,
    Difference,
    GroupMean,
    group_difference,
    group_mean,
)

GATE = "norm.gate"
"""Keys of NormConfig, which every task with such a layer has under `norm`."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One trial with the gate on."""

    trial: int
    threshold: float
    score: float
    epoch: int
    status: str


@dataclass(frozen=True, kw_only=True)
class ThresholdCurve:
    """Scores over the threshold at one epoch, all points of the same epoch."""

    epoch: int
    points: tuple[Point, ...]
    fit: CurveFit | TooFew
    gate_off: tuple[float, ...]
    """Scores, at the same epoch, of the trials whose gate is off."""
    gate_off_mean: GroupMean | None
    gain: Difference | None
    """The gate's trials against those without; None with fewer than three on a side."""
    gain_in_range: bool
    """Whether those are the trials in the fit's optimum range alone, or all with the gate on: without a shape, or
    where fewer than three lie in the range."""


@dataclass(frozen=True, kw_only=True)
class ThresholdView:
    """All of it."""

    varied: bool
    low: float
    high: float
    log: bool
    full: ThresholdCurve
    """Finished trials at the full budget."""
    early: ThresholdCurve | None
    """All trials that reached a common earlier epoch, so that early stopping has selected none of them."""
    stopped: tuple[Point, ...]
    """The others at their last epoch: shown, never fitted with the finished ones."""

    @property
    def has_shape(self) -> bool:
        """Whether a curve is told from a constant, at either epoch."""
        fits = [curve.fit for curve in (self.full, self.early) if curve is not None]
        return any(isinstance(fit, CurveFit) and fit.shape_is_shown for fit in fits)

    @property
    def told(self) -> ThresholdCurve:
        """The curve that is told of: the first that has a shape, else the first that there is."""
        for curve in (self.full, self.early):
            if curve is not None and isinstance(curve.fit, CurveFit) and curve.fit.shape_is_shown:
                return curve
        return self.full if isinstance(self.full.fit, CurveFit) or self.early is None else self.early

    @property
    def gate_told(self) -> ThresholdCurve:
        """The curve by which the gate is compared: the same, or the other one where that alone has trials enough."""
        curve = self.told
        other = self.early if curve is self.full else self.full
        return other if curve.gain is None and other is not None and other.gain is not None else curve


def threshold_view(sweep: SweepView) -> ThresholdView:
    """Threshold against the objective: finished, stopped, and at a common epoch."""
    gated = [trial for trial in sweep.trials if _threshold(trial) is not None]
    values = [_threshold(trial) or 0.0 for trial in gated]
    parameter = sweep.space.get(THRESHOLD, {})
    low = float(parameter.get("low", min(values, default=0.0)))
    high = float(parameter.get("high", max(values, default=1.0)))
    low, high = min([low, *values]), max([high, *values])
    log = bool(parameter.get("log", False)) and low > 0
    scale = (low, high, log)
    finished = {trial.number for trial in sweep.finished}
    epoch = common_epoch(sweep)
    others = [trial for trial in sweep.unfinished if _threshold(trial) is not None]
    stopped = [_point(trial, trial.scored_epoch) for trial in others]
    return ThresholdView(
        varied=len(set(values)) > 1,
        low=low,
        high=high,
        log=log,
        full=_curve(sweep, [t for t in sweep.trials if t.number in finished], sweep.max_epochs, scale),
        early=None if epoch is None else _curve(sweep, reached(sweep, epoch), epoch, scale),
        stopped=tuple(stopped),
    )


def _curve(
    sweep: SweepView, trials: list[TrialView], epoch: int, scale: tuple[float, float, bool]
) -> ThresholdCurve:
    low, high, log = scale
    points = [_point(trial, epoch) for trial in trials if _threshold(trial) is not None]
    fit = fit_curve(
        [point.threshold for point in points],
        [point.score for point in points],
        low=low,
        high=high,
        log=log,
        mode=sweep.metric.direction,
    )
    off = [trial.curve[epoch] for trial in trials if trial.config.get(GATE) is False]
    inside = _inside(points, fit)
    compared = points if inside is None else inside
    return ThresholdCurve(
        epoch=epoch,
        points=tuple(points),
        fit=fit,
        gate_off=tuple(off),
        gate_off_mean=group_mean(off),
        gain=group_difference(
            [sweep.metric.better(point.score) for point in compared],
            [sweep.metric.better(score) for score in off],
        ),
        gain_in_range=inside is not None,
    )


def _inside(points: list[Point], fit: CurveFit | TooFew) -> list[Point] | None:
    """The trials in the range that the fit recommends; None where it recommends none, or they are too few."""
    if not isinstance(fit, CurveFit) or not fit.shape_is_shown:
        return None
    inside = [point for point in points if fit.optimum_low <= point.threshold <= fit.optimum_high]
    return inside if len(inside) >= MIN_GROUP else None


def _point(trial: TrialView, epoch: int) -> Point:
    threshold = _threshold(trial)
    assert threshold is not None
    return Point(
        trial=trial.number,
        threshold=threshold,
        score=trial.curve[epoch],
        epoch=epoch,
        status=trial.status,
    )


def _threshold(trial: TrialView) -> float | None:
    value = trial.config.get(THRESHOLD)
    is_on = trial.config.get(GATE) is not False
    return float(value) if isinstance(value, int | float) and is_on else None
