"""Two objectives against each other: the front, and the finished trials behind it."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ubn_sweep.landscape import words
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BLUE,
    MOST_MARKS,
    MUTED,
    NARROW,
    metric_name,
    name_marks,
    name_starts,
    new_figure,
    score_axis,
    thinned,
    thinning_note,
)
from ubn_sweep.landscape.phrases import plural
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.front import FrontPoint, FrontView
from ubn_sweep.records.metrics import Metric

LOG_FROM = 30.0
"""How many times the smallest the largest value is from which an axis has a log scale."""


def _draw(sweep: SweepView, view: FrontView) -> Figure:
    figure, panels = new_figure(1, width=6.8, height=4.2)
    _fill(panels[0], sweep, view)
    return figure


def _narrow(sweep: SweepView, view: FrontView) -> Figure:
    figure, panels = new_figure(1, width=NARROW, height=3.8)
    _fill(panels[0], sweep, view)
    return figure


def _fill(axes: Axes, sweep: SweepView, view: FrontView) -> None:
    """The first objective upwards, the second one across."""
    assert sweep.second is not None
    near, _ = _near(sweep, view)
    others = thinned(near, MOST_MARKS // 2)
    marks = axes.scatter(*_places(others), s=14, color=MUTED, alpha=0.5, linewidth=0)
    name_marks(marks, [point.trial for point in others])
    shown = thinned(view.on_it, MOST_MARKS // 3)
    across, upwards = _places(shown)
    axes.plot(across, upwards, color=BLUE, linewidth=1.0, alpha=0.45, zorder=3)
    if all(point.error is not None for point in shown):
        axes.errorbar(
            across, upwards, yerr=[point.error or 0.0 for point in shown],
            fmt="none", ecolor=BLUE, elinewidth=1.0, alpha=0.6, zorder=3,
        )  # fmt: skip
    marks = axes.scatter(across, upwards, s=30, color=BLUE, linewidth=0, zorder=4)
    name_marks(marks, [point.trial for point in shown])
    name_starts(axes, sweep, {point.trial: (point.second, point.first) for point in (*others, *shown)})
    _second_axis(axes, sweep.second, [point.second for point in (*view.on_it, *near)])
    axes.set_ylabel(metric_name(sweep))
    score_axis(axes.yaxis, sweep)


def _near(sweep: SweepView, view: FrontView) -> tuple[list[FrontPoint], int]:
    """The others that are shown, and how many are not: of the worse half, those that score below the whole front.

    One that never learned would flatten all the rest.
    """
    points = [*view.on_it, *view.others]
    ranked = sorted((sweep.metric.better(point.first) for point in points), reverse=True)
    lowest = min(sweep.metric.better(point.first) for point in view.on_it)
    cut = min(lowest, ranked[(len(ranked) - 1) // 2])
    shown = [point for point in view.others if sweep.metric.better(point.first) >= cut]
    return shown, len(view.others) - len(shown)


def _places(points: list[FrontPoint]) -> tuple[list[float], list[float]]:
    return [point.second for point in points], [point.first for point in points]


def _second_axis(axes: Axes, second: Metric, values: list[float]) -> None:
    unit = f" ({second.unit})" if second.unit and not second.is_share else ""
    axes.set_xlabel(f"{second.label}{unit}")
    if min(values) > 0 and max(values) / min(values) >= LOG_FROM:
        axes.set_xscale("log")
    elif second.is_share:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))


def _finding(sweep: SweepView, view: FrontView) -> str:
    return words.front(sweep, view)


def _how(sweep: SweepView, view: FrontView) -> str:
    assert sweep.second is not None
    up = "higher" if sweep.metric.direction == "max" else "lower"
    across = "further right" if sweep.second.direction == "max" else "further left"
    errors = (
        " Bars: one standard error of the score; neighbours whose bars overlap may change places."
        if all(point.error is not None for point in view.on_it)
        else ""
    )
    _, left_out = _near(sweep, view)
    without = (
        f" {plural(left_out, 'trial')} of the worse half, below the whole front, lie outside the figure."
        if left_out
        else ""
    )
    return (
        f"Each dot is a finished trial, by its last epoch; {up} and {across} is better. Blue: no other trial is at "
        "least as good in both and better in one. The line leads the eye: what lies between trials was not tried."
        f"{without}{errors} Of many trials with equal means, those that chance favours make up the front, so that it "
        "looks better than it is. Where the second objective is a time, what else the machine did is part of it."
        + thinning_note(len(view.on_it) + len(view.others))
    )


FRONT = ReportFigure(
    name="front",
    title="What the one objective costs in the other",
    numbers=lambda landscape: landscape.front,
    applies=lambda view: bool(view.on_it),
    draw=_draw,
    narrow=_narrow,
    finding=_finding,
    how=_how,
)
