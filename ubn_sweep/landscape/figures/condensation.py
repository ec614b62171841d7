"""Draws condensation against score, and condensation over the depth."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape.figures.style import (
    BLUE,
    INK,
    MUTED,
    PAPER,
    metric_name,
    new_figure,
    note,
    score_axis,
)
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.condensation import CondensationView, LayerMap

TITLES = {"similarity": "running similarity", "gate_open": "share of batches with an open gate"}
MAX_LABELLED_CELLS = 16


def draw_condensation(sweep: SweepView, view: CondensationView) -> Figure:
    """Similarity and open gates of each trial, at its last epoch, against its score."""
    figure, panels = new_figure(2, sharey=True, width=9.2, height=3.7)
    for axes, (measure, title) in zip(panels, TITLES.items(), strict=True):
        _scatter(axes, sweep, view, measure)
        axes.set_xlabel(f"{title}, mean over the layers")
    panels[0].set_ylabel(metric_name(sweep))
    score_axis(panels[0].yaxis, sweep)
    return figure


def _scatter(axes: Axes, sweep: SweepView, view: CondensationView, measure: str) -> None:
    points = [point for point in view.points if getattr(point, measure) is not None]
    if not points:
        note(axes, "no layer with a gate has reported")
        return
    finished = {trial.number for trial in sweep.finished}
    for is_finished, face, edge in ((False, "none", MUTED), (True, BLUE, PAPER)):
        mine = [point for point in points if (point.trial in finished) == is_finished]
        axes.scatter(
            [getattr(point, measure) for point in mine], [point.score for point in mine],
            s=28, facecolor=face, edgecolor=edge, linewidth=0.9, zorder=3 if is_finished else 2,
        )  # fmt: skip
    lines = [
        f"epoch {item.epoch}: ρ = {item.rho:+.2f} [{item.low:+.2f}, {item.high:+.2f}], n = {item.n}"
        for item in view.correlations
        if item.measure == measure
    ]
    axes.set_title("\n".join(lines) or "too few trials for a correlation", fontsize=8.5, fontweight="normal")


def draw_layers(view: CondensationView) -> Figure | None:
    """Heat maps over the depth, best trial on top; None where no layer has a gate."""
    if not view.layers:
        return None
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
    top = 1.0 if item.measure == "gate_open" else float(finite.max(initial=0.0)) or 1.0
    image = axes.imshow(
        values, cmap="cividis", vmin=min(float(finite.min(initial=0.0)), 0.0), vmax=top, aspect="auto"
    )
    axes.set_title(f"{TITLES[item.measure]}, by layer")
    names = [f"trial {trial.number}, epoch {trial.last_epoch}" for trial in item.trials]
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
