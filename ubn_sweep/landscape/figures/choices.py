"""The scores by the values of the task's choices."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape.claims import silenced_choices
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BLUE,
    GRID,
    INK,
    MOST_MARKS,
    MUTED,
    NARROW,
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
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.choices import Choice, ChoicesView, choices_view
from ubn_sweep.landscape.views.numbers import GroupMean


def _draw(sweep: SweepView, view: ChoicesView) -> Figure:
    """A panel for each choice; the upper row at the full budget, the lower one at the common early epoch."""
    rows = 1 if view.early_epoch is None else 2
    columns = len(view.choices)
    figure, panels = new_figure(
        columns, rows, width=WIDE, height=2.7 * rows + 0.3, sharey="row", sharex="col",
        gridspec_kw={"width_ratios": [max(len(choice.groups), 2) for choice in view.choices]},
    )  # fmt: skip
    most = MOST_MARKS // (rows * sum(len(choice.groups) for choice in view.choices))
    for index, choice in enumerate(view.choices):
        _panel(panels[index], sweep, choice, early=False, most=most)
        panels[index].set_title(choice.title)
        if rows == 2:
            _panel(panels[columns + index], sweep, choice, early=True, most=most)
    for row in range(rows):
        epoch = sweep.max_epochs if row == 0 else view.early_epoch
        panels[row * columns].set_ylabel(f"{metric_name(sweep)}\nafter epoch {epoch}")
        score_axis(panels[row * columns].yaxis, sweep)
        # Not by the intervals: that of a group of three may reach beyond anything possible.
        limit_to_scores(panels[row * columns], _scores(view, early=row == 1))
    return figure


def _narrow(sweep: SweepView, view: ChoicesView) -> Figure:
    """A row for each choice; on the left the full budget, on the right the common early epoch."""
    columns, rows = 1 if view.early_epoch is None else 2, len(view.choices)
    most = MOST_MARKS // (columns * sum(len(choice.groups) for choice in view.choices))
    figure, panels = new_figure(columns, rows, width=NARROW, height=2.2 * rows + 0.3, sharey="col")
    for row, choice in enumerate(view.choices):
        for column in range(columns):
            axes = panels[row * columns + column]
            _panel(axes, sweep, choice, early=column == 1, most=most)
            score_axis(axes.yaxis, sweep)
            axes.tick_params(labelsize=7)
            axes.set_title(
                f"{choice.title}, epoch {view.early_epoch if column else sweep.max_epochs}", fontsize=8
            )
    for column in range(columns):
        limit_to_scores(panels[column], _scores(view, early=column == 1))
    return figure


def _scores(view: ChoicesView, *, early: bool) -> list[float]:
    groups = [group for choice in view.choices for group in choice.groups]
    return [score for group in groups for score in (group.early if early else group.finished)]


def _panel(axes: Axes, sweep: SweepView, choice: Choice, *, early: bool, most: int) -> None:
    generator = np.random.default_rng(0)
    labels = []
    for place, group in enumerate(choice.groups):
        all_scores = group.early if early else group.finished
        found = group.early_mean if early else group.finished_mean
        across = place + generator.uniform(-0.16, 0.16, len(all_scores))
        marks = list(zip(across.tolist(), all_scores, strict=True))
        trials = group.early_trials if early else group.finished_trials
        name_starts(axes, sweep, dict(zip(trials, marks, strict=True)))
        shown = thinned(list(zip(trials, marks, strict=True)), most)
        drawn = axes.scatter(
            [x for _, (x, _) in shown], [y for _, (_, y) in shown],
            s=13, color=BLUE if not early else MUTED, alpha=0.45, linewidth=0,
        )  # fmt: skip
        name_marks(drawn, [trial for trial, _ in shown])
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


def _finding(sweep: SweepView, view: ChoicesView) -> str:
    """The choices whose intervals do not overlap, of those with two intervals or more."""
    clear = [choice.title for choice in view.choices if choice.key in view.apart]
    if not view.comparable:
        return "Too few trials for an interval of any two values: nothing can be said of the choices."
    if not clear:
        return "No choice stands out" + ("." if view.withheld else ": the intervals of their values overlap.")
    return f"Intervals that do not overlap: {', '.join(clear)}."


def _how(sweep: SweepView, view: ChoicesView) -> str:
    epoch = view.early_epoch
    early = f" (second n: all that reached epoch {epoch}, below)" if epoch is not None else ""
    return (
        f"Each dot is a trial; n counts the finished ones{early}. Bars: means, and their 95% intervals where n is 3 or "
        "more. The intervals are for one comparison each; with several choices, one in twenty misleads. Finished "
        "trials were selected by early stopping, which brings the values nearer to each other."
        + thinning_note(sum(len(g.finished) + len(g.early) for choice in view.choices for g in choice.groups))
    )


CHOICES = ReportFigure(
    name="rectifiers",  # as the files are called in the folders of sweeps
    title="Score by choice",
    numbers=lambda landscape: choices_view(landscape.sweep, withheld=silenced_choices(landscape)),
    applies=lambda view: bool(view.choices),
    draw=_draw,
    narrow=_narrow,
    finding=_finding,
    how=_how,
    claims=("choice",),
)
