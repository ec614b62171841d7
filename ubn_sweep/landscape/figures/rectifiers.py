"""Draws the scores by rectifier choice."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape.figures.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    metric_name,
    new_figure,
    note,
    score_axis,
)
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.numbers import GroupMean
from ubn_sweep.landscape.views.rectifiers import Choice, RectifierView


def draw_rectifiers(sweep: SweepView, view: RectifierView) -> Figure:
    """A panel for each choice; the upper row at the full budget, the lower one at the common early epoch."""
    rows = 1 if view.early_epoch is None else 2
    columns = max(len(view.choices), 1)
    figure, panels = new_figure(
        columns, rows, width=9.2, height=2.7 * rows + 0.3, sharey="row", sharex="col",
        gridspec_kw={"width_ratios": [max(len(choice.groups), 2) for choice in view.choices] or [1]},
    )  # fmt: skip
    if not view.choices:
        note(panels[0], "no choice has two values among the trials with a score")
    for index, choice in enumerate(view.choices):
        _panel(panels[index], choice, early=False)
        panels[index].set_title(choice.title)
        if rows == 2:
            _panel(panels[columns + index], choice, early=True)
    for row in range(rows):
        epoch = sweep.max_epochs if row == 0 else view.early_epoch
        panels[row * columns].set_ylabel(f"{metric_name(sweep)}\nafter epoch {epoch}")
        score_axis(panels[row * columns].yaxis, sweep)
        _limits(panels[row * columns], view, early=row == 1)
    return figure


def _limits(axes: Axes, view: RectifierView, *, early: bool) -> None:
    """By the trials' scores: the interval of a group of three may reach beyond anything possible."""
    groups = [group for choice in view.choices for group in choice.groups]
    scores = [score for group in groups for score in (group.early if early else group.finished)]
    if scores and min(scores) < max(scores):
        margin = 0.1 * (max(scores) - min(scores))
        axes.set_ylim(min(scores) - margin, max(scores) + margin)


def _panel(axes: Axes, choice: Choice, *, early: bool) -> None:
    generator = np.random.default_rng(0)
    labels = []
    for place, group in enumerate(choice.groups):
        scores = group.early if early else group.finished
        found = group.early_mean if early else group.finished_mean
        offsets = generator.uniform(-0.16, 0.16, len(scores))
        axes.scatter(
            place + offsets, scores, s=13, color=BLUE if not early else MUTED, alpha=0.45, linewidth=0
        )
        _mean(axes, place, found)
        labels.append(
            f"{group.value}\nn = {len(group.finished)}" + f" / {len(group.early)}" * bool(group.early)
        )
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlim(-0.5, max(len(labels), 1) - 0.5)
    axes.grid(axis="x", color=GRID, alpha=0)


def _mean(axes: Axes, place: int, found: GroupMean | None) -> None:
    if found is None:
        return
    axes.plot([place - 0.26, place + 0.26], [found.mean, found.mean], color=INK, linewidth=1.8, zorder=4)
    if found.low is not None and found.high is not None:
        axes.plot([place, place], [found.low, found.high], color=INK, linewidth=1.3, zorder=4)
