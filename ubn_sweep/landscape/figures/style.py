"""How all figures look: colours that colour-blind readers tell apart, no boxes, labels at the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ubn_sweep.landscape.read import SweepView

Item = TypeVar("Item")
WIDE, NARROW = 9.2, 4.6
"""Widths of figures, in inches: beside each other on a page, and beneath each other on a phone."""
OF_TRIAL = "trial:"
"""Begins the link of a mark to its trial, which the page replaces."""
MOST_MARKS = 2000
"""Of one figure: more are no more legible, and make pages that no browser opens."""
INK = "#1c1e21"
MUTED = "#6e747c"
GRID = "#e3e5e8"
PAPER = "#fffffe"
BLUE = "#0068a8"
ORANGE = "#c8500a"
GREEN = "#007a5e"
PURPLE = "#8a4a9e"
BAND = "#b9d4e6"
OFF_BAND = "#f3d3bd"
STATUS_COLORS = {
    "completed": BLUE,
    "stopped": MUTED,
    "diverged": ORANGE,
    "failed": ORANGE,
    "running": GREEN,
}
"""Okabe and Ito's hues, darkened until they read on white; the report lightens them on a dark page."""
SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "ubn-sweep",  # the same sweep gives the same page
}


def new_figure(
    columns: int, rows: int = 1, *, width: float = 8.6, height: float = 3.6, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of its own, without pyplot's global state; call it inside `styled()`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(grid.ravel())


def styled() -> Any:
    """The context in which figures are made and saved."""
    return rc_context(SETTINGS)


def score_axis(axis: Any, sweep: SweepView) -> None:
    """Percent for shares."""
    if sweep.metric.is_share:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))


def limit_to_scores(axes: Axes, scores: Sequence[float]) -> None:
    """Leaves a tenth of their range to both sides; as it is where they are all the same."""
    if scores and min(scores) < max(scores):
        margin = 0.1 * (max(scores) - min(scores))
        axes.set_ylim(min(scores) - margin, max(scores) + margin)


def metric_name(sweep: SweepView) -> str:
    """With its unit; percent signs tell shares."""
    unit = sweep.metric.unit
    return f"{sweep.metric.label} ({unit})" if unit and not sweep.metric.is_share else sweep.metric.label


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """So many of them at most, picked at random and always the same, in their order."""
    if len(items) <= most:
        return list(items)
    picks = np.random.default_rng(0).choice(len(items), most, replace=False)
    return [items[pick] for pick in sorted(picks)]


def thinning_note(marks: int) -> str:
    """A sentence for the caption of a figure that has more marks than it draws."""
    return (
        ""
        if marks <= MOST_MARKS
        else f" Of {marks:,} marks {MOST_MARKS:,} at most are drawn, picked at random."
    )


def name_starts(axes: Axes, sweep: SweepView, places: Mapping[int, tuple[float, float]]) -> None:
    """Writes `paper`, `bn`, ... beside the marks of the trials that a sweep began with; trial -> where its mark is."""
    across = [x for x, _ in places.values()]
    for trial in sweep.trials:
        if trial.start and trial.number in places:
            # Towards the middle, where there is room.
            is_right = places[trial.number][0] > (min(across) + max(across)) / 2
            axes.annotate(
                trial.start, places[trial.number], xytext=(-4 if is_right else 4, -3),
                textcoords="offset points", ha="right" if is_right else "left", va="top", fontsize=7.5,
                color=INK, zorder=7,
            )  # fmt: skip


def name_marks(marks: Any, trials: Sequence[int]) -> None:
    """Lets the page say whose each mark of a scatter is, in the order in which they were given."""
    marks.set_urls([f"{OF_TRIAL}{trial}" for trial in trials])


def note(axes: Axes, text: str) -> None:
    """Says, in place of axes that would be empty, why nothing is drawn."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, wrap=True)
