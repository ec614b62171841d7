"""Condensation against score."""

from __future__ import annotations

import textwrap
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape import phrases
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BLUE,
    MOST_MARKS,
    MUTED,
    NARROW,
    PAPER,
    WIDE,
    metric_name,
    name_marks,
    name_starts,
    new_figure,
    note,
    score_axis,
    thinned,
    thinning_note,
)
from ubn_sweep.landscape.measures import MEASURES, measure_named
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.condensation import (
    SHUFFLES,
    CondensationAtEpoch,
    CondensationView,
)


def _draw(sweep: SweepView, view: CondensationView, *, width: float = WIDE) -> Figure:
    """The gate's measures against the score, a row for each epoch."""
    rows = len(view.epochs)
    most = MOST_MARKS // (rows * len(MEASURES))
    figure, panels = new_figure(
        len(MEASURES), rows, sharey="row", sharex="col", width=width, height=0.5 + 2.9 * rows
    )
    for row, at in enumerate(view.epochs):
        for column, measure in enumerate(MEASURES):
            axes = panels[row * len(MEASURES) + column]
            _scatter(axes, sweep, at, measure.name, most)
            if row == rows - 1:
                axes.set_xlabel(textwrap.fill(f"{measure.title}, mean over the layers", int(6 * width)))
        first = panels[row * len(MEASURES)]
        first.set_ylabel(f"{metric_name(sweep)}\nafter epoch {at.epoch}")
        score_axis(first.yaxis, sweep)
    return figure


def _scatter(axes: Axes, sweep: SweepView, at: CondensationAtEpoch, measure: str, most: int) -> None:
    points = [point for point in at.points if measure in point.measures]
    if not points:
        note(axes, "no layer with a gate has reported")
        return
    face, edge = (BLUE, PAPER) if at.full_budget else ("none", MUTED)
    name_starts(axes, sweep, {point.trial: (point.measures[measure], point.score) for point in points})
    points = thinned(points, most)
    marks = axes.scatter(
        [point.measures[measure] for point in points], [point.score for point in points],
        s=28, facecolor=face, edgecolor=edge, linewidth=0.9, zorder=3,
    )  # fmt: skip
    name_marks(marks, [point.trial for point in points])
    lines = [
        f"ρ = {item.rho:+.2f}, p = {item.p_value:.2g}, n = {item.n}"
        for item in at.correlations
        if item.measure == measure
    ]
    axes.set_title(
        lines[0] if lines else "too few trials for a correlation", fontsize=8.5, fontweight="normal"
    )


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
    rows = "; ".join(
        f"{'finished trials at the full budget' if at.full_budget else 'all trials, before early stopping ended any'}, "
        f"epoch {at.epoch}, n = {len(at.points)}"
        for at in view.epochs
    )
    return (
        f"Trials with a gate, row by row: {rows}. ρ is Spearman's rank correlation, positive where more means better; "
        f"p is the share of {SHUFFLES:,} sweeps with shuffled scores that correlate as strongly, times the "
        f"{phrases.plural(len(view.correlations), 'correlation')} looked at. The threshold itself decides how often "
        "gates are open: no cause can be read here."
        + thinning_note(len(MEASURES) * sum(len(at.points) for at in view.epochs))
    )


CONDENSATION = ReportFigure(
    name="condensation",
    title="Condensation and score",
    numbers=lambda landscape: landscape.condensation,
    applies=lambda view: bool(view.epochs),
    draw=_draw,
    narrow=partial(_draw, width=NARROW),
    finding=_finding,
    how=_how,
    claims=("condensation",),
)
