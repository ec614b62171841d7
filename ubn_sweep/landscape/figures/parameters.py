"""The swept numbers against the score, as small multiples."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BLUE,
    MOST_MARKS,
    MUTED,
    NARROW,
    PAPER,
    WIDE,
    limit_to_scores,
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
from ubn_sweep.landscape.views.parameters import (
    NumericParameter,
    ParameterPoint,
    ParametersView,
    parameters_view,
)

MOST_COLUMNS = 4
MOST_TICKS = 4
SPREAD = 0.13
"""To both sides of a place, so that its trials lie beside each other; places are 1 apart."""
HEIGHTS = {"full": 1.9, "early": 1.4}
"""Of the figure, and of its panels, in inches."""
CHARACTER = 0.08
TITLE_CHARACTER = 0.095
"""Widths of a label's and of a title's letters, in inches: a little more than most take."""


def _draw(
    sweep: SweepView, view: ParametersView, *, width: float = WIDE, most_columns: int = MOST_COLUMNS
) -> Figure:
    """For each number finished trials above, and below them all trials at the common early epoch."""
    levels = _levels(view)
    bands = math.ceil(len(view.parameters) / most_columns)
    columns = math.ceil(len(view.parameters) / bands)
    heights = [HEIGHTS[level] for level in levels]
    most = MOST_MARKS // (len(levels) * len(view.parameters))
    figure, panels = new_figure(
        columns, bands * len(levels), width=width, height=bands * (sum(heights) + 0.6),
        gridspec_kw={"height_ratios": heights * bands},
    )  # fmt: skip
    for place, parameter in enumerate(view.parameters):
        band, column = divmod(place, columns)
        for row, level in enumerate(levels):
            axes = panels[(band * len(levels) + row) * columns + column]
            _panel(axes, sweep, parameter, _points(parameter, level), width=width / columns, most=most)
            score_axis(axes.yaxis, sweep)
            limit_to_scores(axes, [p.score for other in view.parameters for p in _points(other, level)])
            axes.tick_params(labelleft=column == 0, labelbottom=row == len(levels) - 1)
            if row == 0:
                axes.set_title(textwrap.fill(parameter.title, int(width / columns / TITLE_CHARACTER)))
            elif band < bands - 1:
                axes.set_xlabel(" ")  # room before the next title
            if column == 0:
                epoch = sweep.max_epochs if level == "full" else view.early_epoch
                label = textwrap.fill(metric_name(sweep), int(HEIGHTS[level] / CHARACTER) + 2)
                axes.set_ylabel(f"{label}\nafter epoch {epoch}", fontsize=8)
    for axes in panels:
        axes.set_visible(axes.has_data())
    return figure


def _levels(view: ParametersView) -> list[str]:
    """Those at which any trial has a score."""
    return [level for level in HEIGHTS if any(_points(parameter, level) for parameter in view.parameters)]


def _points(parameter: NumericParameter, level: str) -> tuple[ParameterPoint, ...]:
    return parameter.full if level == "full" else parameter.early


def _panel(
    axes: Axes,
    sweep: SweepView,
    parameter: NumericParameter,
    all_points: tuple[ParameterPoint, ...],
    *,
    width: float,
    most: int,
) -> None:
    """Filled marks for finished trials; beneath them hollow ones for the rest."""
    x = dict(zip(all_points, _across(parameter, all_points), strict=True))
    points = thinned(all_points, most)
    name_starts(axes, sweep, {point.trial: (x[point], point.score) for point in all_points})
    for is_finished, face, edge in ((False, "none", MUTED), (True, BLUE, PAPER)):
        mine = [point for point in points if point.is_finished == is_finished]
        marks = axes.scatter(
            [x[point] for point in mine], [point.score for point in mine],
            s=20, facecolor=face, edgecolor=edge, linewidth=0.8 if face == "none" else 0.5,
            zorder=3 if is_finished else 2,
        )  # fmt: skip
        name_marks(marks, [point.trial for point in mine])
    _value_axis(axes, parameter, width=width)


def _across(parameter: NumericParameter, points: tuple[ParameterPoint, ...]) -> Iterator[float]:
    """Where the points lie: at their values, or around their places."""
    generator = np.random.default_rng(0)
    for point in points:
        if parameter.places:
            yield parameter.places.index(point.value) + generator.uniform(-SPREAD, SPREAD)
        else:
            yield point.value


def _value_axis(axes: Axes, parameter: NumericParameter, *, width: float) -> None:
    low, high = parameter.low, parameter.high
    if parameter.places:
        labels = [_number(place) for place in parameter.places]
        apart = math.ceil(len(labels) * (max(map(len, labels)) + 1) * CHARACTER / width)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.set_xticks(range(0, len(labels), apart), labels[::apart])
    elif parameter.log:
        pad = (high / low) ** 0.05
        axes.set_xscale("log")
        axes.set_xlim(low / pad, high * pad)
        axes.xaxis.set_major_locator(FixedLocator(_log_ticks(low, high)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        pad = 0.05 * (high - low)
        axes.set_xlim(low - pad, high + pad)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, steps=[1, 2, 2.5, 5, 10]))
    if not parameter.places:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    axes.tick_params(labelsize=8)


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; where the range holds fewer than three of them, round numbers between; at most MOST_TICKS."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(inside) > 2:
            return inside[:: math.ceil(len(inside) / MOST_TICKS)]
    return [low, high]


def _number(value: float) -> str:
    """`0.1`, `64`, `1e-4`."""
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")


def _finding(sweep: SweepView, view: ParametersView) -> str:
    parameters = view.parameters
    titles = ", ".join(parameter.title for parameter in parameters)
    return f"The trials' scores by {plural(len(parameters), 'numeric parameter')}: {titles}."


def _how(sweep: SweepView, view: ParametersView) -> str:
    levels = _levels(view)
    said = {
        "full": f"finished trials, at the full budget of {sweep.max_epochs} epochs",
        "early": f"all that reached epoch {view.early_epoch}, at that epoch, hollow where they have not finished",
    }
    where = "; below, ".join(said[level] for level in levels)
    counts = ", ".join(
        f"{parameter.title} {' / '.join(str(len(_points(parameter, level))) for level in levels)}"
        for parameter in view.parameters
    )
    which = "n, above / below" if len(levels) > 1 else "n"
    return (
        f"Each mark is a trial in which the parameter was active. {'Above, ' if len(levels) > 1 else ''}{where}. "
        f"{which}: {counts}. All else that the sweep varies differs between the marks as well, and an adaptive "
        "sampler tries promising values more often: a pattern here is no proof of an influence."
        + thinning_note(sum(len(_points(p, level)) for p in view.parameters for level in levels))
    )


PARAMETERS = ReportFigure(
    name="parameters",
    title="Score by numeric parameter",
    numbers=lambda landscape: parameters_view(landscape.sweep),
    applies=lambda view: bool(view.parameters),
    draw=_draw,
    narrow=partial(_draw, width=NARROW, most_columns=2),
    finding=_finding,
    how=_how,
)
