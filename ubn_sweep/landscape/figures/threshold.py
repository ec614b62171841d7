"""Draws threshold against score: at the full budget, and at the common early epoch."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape.curve_fit import CurveFit
from ubn_sweep.landscape.figures.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    metric_name,
    new_figure,
    note,
    score_axis,
)
from ubn_sweep.landscape.threshold import ThresholdCurve, ThresholdView
from ubn_sweep.landscape.trials import SweepView

BAND = "#b9d4e6"
OFF_BAND = "#f3d3bd"


def draw_threshold(sweep: SweepView, view: ThresholdView) -> Figure:
    """One panel for each epoch that there is a curve for."""
    figure, panels = new_figure(1 if view.early is None else 2, sharey=False, width=9.2, height=4.0)
    _panel(panels[0], sweep, view, view.full)
    panels[0].set_title(f"Full budget, epoch {view.full.epoch}")
    _stopped(panels[0], view)
    if view.early is not None:
        _panel(panels[1], sweep, view, view.early)
        panels[1].set_title(f"All trials after epoch {view.early.epoch}")
    for axes in panels:
        axes.set_xlabel("feature condensation threshold")
        score_axis(axes.yaxis, sweep)
    panels[0].set_ylabel(metric_name(sweep))
    return figure


def _panel(axes: Axes, sweep: SweepView, view: ThresholdView, curve: ThresholdCurve) -> None:
    if view.log:
        axes.set_xscale("log")
    else:
        pad = 0.03 * (view.high - view.low)
        axes.set_xlim(view.low - pad, view.high + pad)
    _gate_off(axes, curve)
    points = curve.points
    axes.scatter(
        [p.threshold for p in points], [p.score for p in points],
        s=26, color=BLUE, edgecolor=PAPER, linewidth=0.6, zorder=4,
    )  # fmt: skip
    if isinstance(curve.fit, CurveFit):
        _fit(axes, curve.fit)
    elif points or curve.gate_off:
        axes.text(
            0.02, 0.03, f"no curve: {curve.fit.reason}", transform=axes.transAxes,
            color=MUTED, fontsize=8, va="bottom",
        )  # fmt: skip
    if not points and not curve.gate_off and not view.stopped:
        note(axes, "no trial has come here yet")


def _fit(axes: Axes, fit: CurveFit) -> None:
    axes.fill_between(fit.x, fit.low, fit.high, color=BAND, linewidth=0, zorder=1, alpha=0.75)
    style = "-" if fit.shape_is_shown else "--"
    axes.plot(fit.x, fit.mean, style, color=BLUE, linewidth=1.8, zorder=3)
    if fit.shape_is_shown:
        axes.axvspan(fit.optimum_low, fit.optimum_high, ymax=0.025, color=BLUE, linewidth=0, zorder=3)


def _gate_off(axes: Axes, curve: ThresholdCurve) -> None:
    found = curve.gate_off_mean
    if found is None:
        return
    if found.low is not None and found.high is not None:
        axes.axhspan(found.low, found.high, color=OFF_BAND, alpha=0.6, linewidth=0, zorder=0)
    axes.axhline(found.mean, color=ORANGE, linewidth=1.2, zorder=1)
    axes.annotate(
        f"gate off, n = {found.n}", (1.0, found.mean), xycoords=("axes fraction", "data"),
        xytext=(-4, 3), textcoords="offset points", ha="right", va="bottom", color=ORANGE, fontsize=8.5,
        zorder=6,
    )  # fmt: skip


def _stopped(axes: Axes, view: ThresholdView) -> None:
    """Hollow, with the epoch of their score; never part of the curve."""
    if not view.stopped:
        return
    axes.scatter(
        [p.threshold for p in view.stopped], [p.score for p in view.stopped],
        s=22, facecolor="none", edgecolor=MUTED, linewidth=0.9, zorder=2,
    )  # fmt: skip
    for point in view.stopped:
        axes.annotate(
            str(point.epoch), (point.threshold, point.score), xytext=(4, 2), textcoords="offset points",
            fontsize=7, color=MUTED, zorder=2,
        )  # fmt: skip
    axes.text(
        0.02, 0.97, "● finished   ○ ended earlier, at the epoch written", transform=axes.transAxes,
        va="top", fontsize=8, color=INK,
    )  # fmt: skip
