"""The sweep's course: all learning curves, and the best so far against what it cost."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape import words
from ubn_sweep.landscape.figures.entry import ReportFigure, always
from ubn_sweep.landscape.figures.style import (
    BAND,
    BLUE,
    INK,
    MUTED,
    NARROW,
    STATUS_COLORS,
    WIDE,
    metric_name,
    name_starts,
    new_figure,
    note,
    score_axis,
)
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.course import CourseView
from ubn_sweep.landscape.views.ranking import ranked

MOST_CURVES = 300
"""Of more trials bands are drawn: a thousand lines show less, and each holds as many points as there are epochs."""
MOST_POINTS = 20_000
"""Of all lines together."""


def _draw(sweep: SweepView, view: CourseView) -> Figure:
    """Left the trials' curves by how they ended, right the best finished trial so far."""
    return _filled(*new_figure(2, width=WIDE, height=3.7), sweep, view)


def _narrow(sweep: SweepView, view: CourseView) -> Figure:
    """The same, beneath each other."""
    return _filled(*new_figure(1, 2, width=NARROW, height=6.8), sweep, view)


def _filled(figure: Figure, panels: list[Axes], sweep: SweepView, view: CourseView) -> Figure:
    _curves(panels[0], sweep, view)
    _best(panels[1], view)
    for axes in panels:
        score_axis(axes.yaxis, sweep)
    panels[0].set_ylabel(metric_name(sweep))
    return figure


def _curves(axes: Axes, sweep: SweepView, view: CourseView) -> None:
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, sweep.max_epochs + 0.5)
    scored = [trial for trial in sweep.trials if trial.curve]
    if not scored:
        note(axes, "no trial has reported an epoch")
        return
    best = ranked(sweep)[:1]
    if len(scored) > MOST_CURVES:
        _bands(axes, view)
    else:
        ends = {trial.number: (trial.scored_epoch, trial.last_score) for trial in scored}
        name_starts(axes, sweep, ends)
        _lines(axes, scored)
    _epoch_line(axes, view)
    for trial in best:
        epochs = sorted(trial.curve)
        axes.plot(epochs, [trial.curve[e] for e in epochs], color=INK, linewidth=1.8)
    place = 0.05
    for status in ("running", "failed", "diverged", "stopped", "completed"):
        if view.counts[status]:
            text, color = f"{view.counts[status]} {status}", STATUS_COLORS[status]
            axes.text(0.97, place, text, transform=axes.transAxes, ha="right", color=color, fontsize=8.5)
            place += 0.075
    if best:
        axes.text(0.97, place, f"best: {best[0].label}", transform=axes.transAxes, ha="right", fontsize=8.5)


def _epoch_line(axes: Axes, view: CourseView) -> None:
    """At the last epoch; the page's slider moves it towards the first one, where an unseen line tells the place."""
    for name, at, alpha in (("epoch-first", view.by_epoch[0], 0.0), ("epoch-line", view.by_epoch[-1], 0.6)):
        line = axes.axvline(at.epoch, color=MUTED, linewidth=0.9, linestyle=":", alpha=alpha, zorder=1)
        line.set_gid(name)


def _lines(axes: Axes, scored: list[TrialView]) -> None:
    """A line for each trial; of long ones, points evenly spread, and the last."""
    for trial in scored:
        epochs = _some(sorted(trial.curve), MOST_POINTS // len(scored))
        color = STATUS_COLORS[trial.status]
        alpha = 0.35 if trial.status == "stopped" else 0.7
        axes.plot(epochs, [trial.curve[e] for e in epochs], color=color, alpha=alpha, linewidth=1.0)
        axes.plot(epochs[-1], trial.curve[epochs[-1]], "o", color=color, markersize=2.6, alpha=alpha)


def _some(epochs: list[int], most: int) -> list[int]:
    if len(epochs) <= most:
        return epochs
    return [epochs[place] for place in np.linspace(0, len(epochs) - 1, most).round().astype(int)]


def _bands(axes: Axes, view: CourseView) -> None:
    """Where the middle nine tenths, and the middle half, of the trials at each epoch lie."""
    x = [at.epoch for at in view.by_epoch]
    for low, high, alpha in (("lowest", "highest", 0.5), ("low", "high", 1.0)):
        axes.fill_between(
            x, [getattr(at, low) for at in view.by_epoch], [getattr(at, high) for at in view.by_epoch],
            color=BAND, alpha=alpha, linewidth=0,
        )  # fmt: skip
    axes.plot(x, [at.median for at in view.by_epoch], color=BLUE, linewidth=1.4)


def _best(axes: Axes, view: CourseView) -> None:
    axes.set_xlabel("epochs spent, over all trials")
    if not view.best_so_far:
        note(axes, "no trial has finished yet")
        return
    steps = [*view.best_so_far]
    x = [step.epochs_spent for step in steps] + [view.epochs_spent]
    y = [step.score for step in steps] + [steps[-1].score]
    axes.step(x, y, where="post", color=BLUE, linewidth=1.8)
    axes.plot(x[:-1], y[:-1], "o", color=BLUE, markersize=4)
    axes.annotate(
        f"trial {steps[-1].trial}", (x[-2], y[-2]), xytext=(0, 6), textcoords="offset points",
        ha="center", color=BLUE, fontsize=8.5,
    )  # fmt: skip
    axes.set_title("best finished trial so far")
    axes.margins(y=0.15)
    axes.set_xlim(left=0)


def _how(sweep: SweepView, view: CourseView) -> str:
    if len([trial for trial in sweep.trials if trial.curve]) <= MOST_CURVES:
        return "Each line is a trial, a dot its last epoch; the best is drawn in bold."
    return (
        f"More than {MOST_CURVES} trials: the line is the median of those with a score at the epoch, dark the middle "
        "half of them, light the middle nine tenths; the best is drawn in bold. Those that were stopped are part of "
        "the earlier epochs alone."
    )


COURSE = ReportFigure(
    name="course",
    title="The sweep's course",
    numbers=lambda landscape: landscape.course,
    applies=always,
    draw=_draw,
    narrow=_narrow,
    finding=words.counts,
    how=_how,
)
