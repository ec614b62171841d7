"""Condensation over the network's depth."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import INK, new_figure
from ubn_sweep.landscape.measures import measure_named
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.condensation import TOP_TRIALS, CondensationView, LayerMap

MAX_LABELLED_CELLS = 16


def _draw(sweep: SweepView, view: CondensationView) -> Figure:
    """Heat maps over the depth, best trial on top."""
    rows = max(len(item.trials) for item in view.layers)
    figure, panels = new_figure(
        1, len(view.layers), width=9.2, height=(0.9 + 0.33 * rows) * len(view.layers) + 1.0, sharex=True
    )
    for axes, item in zip(panels, view.layers, strict=True):
        _heat_map(figure, axes, item)
    panels[-1].set_xticks(
        range(len(view.layers[-1].layers)), list(view.layers[-1].layers), rotation=40, ha="right", fontsize=8
    )
    return figure


def _heat_map(figure: Figure, axes: Axes, item: LayerMap) -> None:
    values = np.array(item.values)
    finite = values[np.isfinite(values)]
    measure = measure_named(item.measure)
    top = 1.0 if measure.is_share else float(finite.max(initial=0.0)) or 1.0
    image = axes.imshow(
        values, cmap="cividis", vmin=min(float(finite.min(initial=0.0)), 0.0), vmax=top, aspect="auto"
    )
    axes.set_title(f"{measure.title}, by layer")
    names = [f"{trial.label}, epoch {trial.last_epoch}" for trial in item.trials]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=INK)
    if values.shape[1] <= MAX_LABELLED_CELLS:
        _cells(axes, values, top)


def _cells(axes: Axes, values: np.ndarray, top: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "#ffffff" if value < 0.55 * top else "#101010"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7.5, color=color)


def _finding(sweep: SweepView, view: CondensationView) -> str:
    return "How condensed the best trials' features are, from the input on the left to the output."


def _how(sweep: SweepView, view: CondensationView) -> str:
    return (
        f"Each row is one of the up to {TOP_TRIALS} best trials with a gate, at its last epoch: above, the running "
        "similarity of each layer's input; below, the share of that epoch's batches with which the gate was open."
    )


LAYERS = ReportFigure(
    name="layers",
    title="Condensation over the depth",
    numbers=lambda landscape: landscape.condensation,
    applies=lambda view: bool(view.layers),
    draw=_draw,
    finding=_finding,
    how=_how,
)
