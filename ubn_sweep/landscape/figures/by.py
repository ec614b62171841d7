"""The threshold's profile by another parameter, as small multiples."""

from __future__ import annotations

import math
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ubn_sweep.landscape import recommendation
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BAND,
    BLUE,
    GREEN,
    MOST_MARKS,
    NARROW,
    WIDE,
    metric_name,
    new_figure,
    score_axis,
    thinned,
    thinning_note,
)
from ubn_sweep.landscape.phrases import plural
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.by import MOST_GROUPS, TOLD, ByView, GroupProfile

HEIGHT = 1.75
"""Of a panel, in inches."""


def _draw(sweep: SweepView, view: ByView, *, width: float = WIDE, most_columns: int = MOST_GROUPS) -> Figure:
    """A row for each parameter, of a panel for each of its groups; broken where a row is too long."""
    columns = min(max(len(key.groups) for key in view.keys), most_columns)
    rows = [
        [(key, group) for group in key.groups[begin : begin + columns]]
        for key in view.keys
        for begin in range(0, len(key.groups), columns)
    ]
    figure, panels = new_figure(
        columns, len(rows), width=width, height=0.5 + HEIGHT * len(rows), sharex=True, sharey=True
    )
    most = MOST_MARKS // sum(map(len, rows))
    for place, axes in enumerate(panels):
        row, column = divmod(place, columns)
        if column >= len(rows[row]):
            axes.set_visible(False)
            continue
        key, group = rows[row][column]
        _panel(axes, view, group, most)
        axes.set_title(f"{key.title} {group.name}", fontsize=9)
        is_lowest = all(column >= len(below) for below in rows[row + 1 :])
        axes.tick_params(labelsize=8, labelbottom=is_lowest)
        if is_lowest:
            axes.set_xlabel("threshold", fontsize=8.5)
        if column == 0:
            axes.set_ylabel(metric_name(sweep), fontsize=8 if len(metric_name(sweep)) < 24 else 7)
            score_axis(axes.yaxis, sweep)
    if view.log:
        panels[0].set_xscale("log")
    else:
        panels[0].xaxis.set_major_locator(MaxNLocator(4))
    panels[0].set_ylim(*_limits(view))
    return figure


def _panel(axes: Axes, view: ByView, group: GroupProfile, most: int) -> None:
    axes.fill_between(view.x, group.best.low, group.best.high, color=BAND, alpha=0.7, linewidth=0, zorder=1)
    axes.plot(view.x, group.best.middle, color=BLUE, linewidth=1.6, zorder=3)
    points = thinned(group.points, most)
    axes.scatter(
        [x for x, _ in points], [y for _, y in points],
        s=13, facecolor="none", edgecolor=BLUE, linewidth=0.8, zorder=4,
    )  # fmt: skip
    if group.open != ((view.x[0], view.x[-1]),):
        for low, high in group.open:
            axes.axvspan(low, high, ymax=0.05, color=GREEN, linewidth=0, zorder=5)


def _limits(view: ByView) -> tuple[float, float]:
    """About the middles: a band of what is badly known may reach far below them."""
    groups = [group for key in view.keys for group in key.groups]
    middles = [y for group in groups for y in group.best.middle]
    marks = [y for group in groups for _, y in group.points]
    low, high = min(middles), max([*middles, *marks])
    margin = 0.15 * (high - low) if math.isfinite(high - low) and high > low else 0.05 * abs(high) + 1e-9
    return low - margin, high + margin


def _how(sweep: SweepView, view: ByView) -> str:
    counts = "; ".join(
        f"{key.title}: "
        + ", ".join(f"{group.name} {group.trials} / {group.finished}" for group in key.groups)
        for key in view.keys
    )
    left_out = [f"{key.title} {name}" for key in view.keys for name in key.left_out]
    without = f" Left out, with fewer than three trials: {', '.join(left_out)}." if left_out else ""
    return (
        "The best of the other parameters at each threshold, within one group of configs, from the model of all "
        "epochs; bands hold 90% of its draws. Green on the axis: thresholds not ruled out in that group; no bar where "
        f"none is. Hollow marks are finished trials. Trials with a threshold / finished: {counts}.{without} A "
        "probability is the share of joint draws in which the best thresholds of two groups lie apart in that "
        f"direction, and taking one for the other costs more than {sweep.metric.difference(view.margin)} in one of "
        f"them; {plural(view.pairs, 'pair')} of groups were compared, and {TOLD:.0%} is told."
        + thinning_note(sum(len(group.points) for key in view.keys for group in key.groups))
    )


BY = ReportFigure(
    name="by",
    title="The threshold by other choices",
    numbers=lambda landscape: landscape.by,
    applies=lambda view: bool(view.keys),
    draw=_draw,
    narrow=partial(_draw, width=NARROW, most_columns=2),
    finding=lambda sweep, view: recommendation.by(view),
    how=_how,
    claims=("threshold_by",),
)
