"""The threshold with each other number, as surfaces."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import NARROW, WIDE, metric_name, new_figure, score_axis
from ubn_sweep.landscape.phrases import amount, plural
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.pairs import CELLS, MIN_NEAR, NEAR, PairSurface, PairsView

LEVELS = 8


def _draw(sweep: SweepView, view: PairsView) -> Figure:
    """Expected above, its deviation below; a column for each number."""
    count = len(view.surfaces)
    figure, panels = new_figure(count, 2, width=WIDE, height=4.8)
    return _filled(figure, sweep, view, [panels[:count], panels[count:]], beside=True)


def _narrow(sweep: SweepView, view: PairsView) -> Figure:
    """Expected on the left, its deviation on the right; a row for each number."""
    count = len(view.surfaces)
    figure, panels = new_figure(2, count, width=NARROW, height=0.5 + 2.0 * count)
    return _filled(figure, sweep, view, [panels[0::2], panels[1::2]], beside=False)


def _filled(
    figure: Figure, sweep: SweepView, view: PairsView, parts: list[list[Axes]], *, beside: bool
) -> Figure:
    """The scale of each part stands beside its panels, or above them."""
    for panels, name, label in zip(
        parts, ("mean", "deviation"), (metric_name(sweep), "standard deviation"), strict=True
    ):
        tables = [_table(getattr(surface, name)) for surface in view.surfaces]
        known = np.concatenate([table.compressed() for table in tables])
        edges = MaxNLocator(LEVELS).tick_values(float(known.min()), float(known.max()) + 1e-9)
        colors = colormaps["cividis"].resampled(len(edges) - 1)
        for axes, surface, table in zip(panels, view.surfaces, tables, strict=True):
            axes.pcolormesh(
                range(len(surface.x) + 1), range(len(surface.y) + 1), table,
                cmap=colors, norm=BoundaryNorm(edges, colors.N), linewidth=0,
            )  # fmt: skip
            _named(axes, surface, most=4 if beside else 3)
        mesh = ScalarMappable(norm=BoundaryNorm(edges, colors.N), cmap=colors)
        bar = figure.colorbar(
            mesh, ax=panels, shrink=0.8, ticks=edges[:: 1 if beside else 3], pad=0.02 if beside else 0.01,
            location="right" if beside else "top",
        )  # fmt: skip
        bar.ax.tick_params(labelsize=7.5)
        bar.set_label(label, fontsize=8)
        score_axis(bar.ax.yaxis if beside else bar.ax.xaxis, sweep)
    return figure


def _table(values: tuple[tuple[float | None, ...], ...]) -> np.ma.MaskedArray:
    table = np.array([[np.nan if value is None else value for value in row] for row in values])
    return np.ma.masked_invalid(table)


def _named(axes: Axes, surface: PairSurface, *, most: int) -> None:
    for axis, values in ((axes.xaxis, surface.x), (axes.yaxis, surface.y)):
        apart = max((len(values) + 2) // most, 1)
        places = range(0, len(values), apart)
        axis.set_ticks([place + 0.5 for place in places], [_number(values[place]) for place in places])
    axes.tick_params(labelsize=7.5)
    axes.grid(visible=False)
    axes.set_xlabel("threshold", fontsize=8)
    axes.set_ylabel(surface.title, fontsize=8)


def _number(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def _finding(sweep: SweepView, view: PairsView) -> str:
    titles = ", ".join(surface.title for surface in view.surfaces)
    widest = max(
        value for surface in view.surfaces for row in surface.deviation for value in row if value is not None
    )
    return (
        f"What is expected at the full budget over the threshold and {titles}; where it is shown, known to "
        f"{amount(sweep, widest)} or better (one standard deviation)."
    )


def _how(sweep: SweepView, view: PairsView) -> str:
    counts = ", ".join(f"{surface.title} {surface.trials}" for surface in view.surfaces)
    shown = sum(surface.supported for surface in view.surfaces)
    cells = sum(len(surface.x) * len(surface.y) for surface in view.surfaces)
    return (
        f"The model's mean over the other parameters at epoch {sweep.max_epochs}, and its standard deviation, in up to "
        f"{CELLS} by {CELLS} cells; trials with both: {counts}. Cells with fewer than {MIN_NEAR} trials within "
        f"{NEAR:.0%} of both ranges are left white: {plural(shown, 'cell')} of {cells} are shown. Neighbouring cells "
        "are not independent, and a pattern within the deviation is none."
    )


PAIRS = ReportFigure(
    name="pairs",
    title="The threshold with other numbers",
    numbers=lambda landscape: landscape.pairs,
    applies=lambda view: bool(view.surfaces),
    draw=_draw,
    narrow=_narrow,
    finding=_finding,
    how=_how,
)
