"""The sweep's course: all learning curves, and the best so far against what it cost."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape import words
from ubn_sweep.landscape.figures.entry import ReportFigure, always
from ubn_sweep.landscape.figures.style import (
    BLUE,
    INK,
    MOST_MARKS,
    NARROW,
    STATUS_COLORS,
    WIDE,
    metric_name,
    name_starts,
    new_figure,
    note,
    score_axis,
    thinned,
    thinning_note,
)
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.course import CourseView
from ubn_sweep.landscape.views.ranking import ranked

MOST_CURVES = MOST_MARKS // 2
"""Each is a line and a dot."""


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
    ends = {trial.number: (trial.scored_epoch, trial.last_score) for trial in scored}
    name_starts(axes, sweep, ends)
    for trial in thinned(scored, MOST_CURVES):
        epochs = sorted(trial.curve)
        color = STATUS_COLORS[trial.status]
        alpha = 0.35 if trial.status == "stopped" else 0.7
        axes.plot(epochs, [trial.curve[e] for e in epochs], color=color, alpha=alpha, linewidth=1.0)
        axes.plot(epochs[-1], trial.curve[epochs[-1]], "o", color=color, markersize=2.6, alpha=alpha)
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
    scored = sum(bool(trial.curve) for trial in sweep.trials)
    return (
        f"Each line is a trial, a dot its last epoch; the best is drawn in bold.{thinning_note(2 * scored)}"
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
