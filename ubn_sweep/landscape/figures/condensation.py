"""Condensation against score."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape import words
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BLUE,
    MUTED,
    PAPER,
    metric_name,
    new_figure,
    note,
    score_axis,
)
from ubn_sweep.landscape.measures import MEASURES, measure_named
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.condensation import RESAMPLES, CondensationView


def _draw(sweep: SweepView, view: CondensationView) -> Figure:
    """The gate's measures of each trial, at its last epoch, against its score."""
    figure, panels = new_figure(len(MEASURES), sharey=True, width=9.2, height=3.7)
    for axes, measure in zip(panels, MEASURES, strict=True):
        _scatter(axes, sweep, view, measure.name)
        axes.set_xlabel(f"{measure.title}, mean over the layers")
    panels[0].set_ylabel(metric_name(sweep))
    score_axis(panels[0].yaxis, sweep)
    return figure


def _scatter(axes: Axes, sweep: SweepView, view: CondensationView, measure: str) -> None:
    points = [point for point in view.points if measure in point.measures]
    if not points:
        note(axes, "no layer with a gate has reported")
        return
    finished = {trial.number for trial in sweep.finished}
    for is_finished, face, edge in ((False, "none", MUTED), (True, BLUE, PAPER)):
        mine = [point for point in points if (point.trial in finished) == is_finished]
        axes.scatter(
            [point.measures[measure] for point in mine], [point.score for point in mine],
            s=28, facecolor=face, edgecolor=edge, linewidth=0.9, zorder=3 if is_finished else 2,
        )  # fmt: skip
    lines = [
        f"epoch {item.epoch}: ρ = {item.rho:+.2f} [{item.low:+.2f}, {item.high:+.2f}], n = {item.n}"
        for item in view.correlations
        if item.measure == measure
    ]
    axes.set_title("\n".join(lines) or "too few trials for a correlation", fontsize=8.5, fontweight="normal")


def _finding(sweep: SweepView, view: CondensationView) -> str:
    shown = [item for item in view.correlations if item.is_shown]
    if not shown:
        return "No correlation between condensation and score stands out from chance."
    parts = [
        f"{measure_named(i.measure).more} goes with {'better' if i.rho > 0 else 'worse'} scores "
        f"(epoch {i.epoch}, n = {i.n})"
        for i in shown
    ]
    return f"{'; '.join(parts)}.".capitalize()


def _how(sweep: SweepView, view: CondensationView) -> str:
    return (
        f"{words.plural(len(view.points), 'trial')} with a gate, at their last epochs: filled, finished; hollow, ended "
        "earlier. ρ is Spearman's rank correlation of trials at one epoch, positive where more means better, with "
        f"95% of {RESAMPLES:,} bootstraps. The threshold itself decides how often gates are open: no cause can be "
        "read here."
    )


CONDENSATION = ReportFigure(
    name="condensation",
    title="Condensation and score",
    numbers=lambda landscape: landscape.condensation,
    applies=lambda view: bool(view.points),
    draw=_draw,
    finding=_finding,
    how=_how,
)
