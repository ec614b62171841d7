"""Which parameters mattered."""

from __future__ import annotations

import textwrap
from functools import partial

from matplotlib.figure import Figure

from ubn_sweep.landscape import phrases, words
from ubn_sweep.landscape.figures.entry import ReportFigure, always
from ubn_sweep.landscape.figures.style import BLUE, INK, MUTED, NARROW, PAPER, new_figure, note
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.importance import RESAMPLES, SHUFFLES, ImportanceView


def _draw(sweep: SweepView, view: ImportanceView, *, width: float = 8.6) -> Figure:
    """A line for each parameter: importance, its bootstrap interval, and the level that chance reaches."""
    figure, (axes,) = new_figure(1, width=width, height=0.9 + 0.36 * max(len(view.parameters), 1))
    if view.reason is not None:
        note(axes, f"too little to say: {view.reason}")
        return figure
    for place, row in enumerate(reversed(view.parameters)):
        color = BLUE if row.is_shown else MUTED
        axes.barh(place, row.chance, height=0.62, color=MUTED, alpha=0.16, linewidth=0)
        axes.plot([row.low, row.high], [place, place], color=color, linewidth=1.6, solid_capstyle="round")
        axes.plot([row.importance], [place], "o", color=color, markersize=7, markeredgecolor=PAPER)
    gap = "\n" if width <= NARROW else "   "
    names = [f"{row.key}{gap}n = {row.n}" for row in reversed(view.parameters)]
    axes.set_yticks(range(len(names)), names)
    for label, row in zip(axes.get_yticklabels(), reversed(view.parameters), strict=True):
        label.set_color(INK if row.is_shown else MUTED)
        label.set_fontweight("bold" if row.is_shown else "normal")
    axes.set_xlim(left=0)
    axes.grid(axis="y", alpha=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(
        textwrap.fill(
            "importance for being among the best quarter; grey: the reach of chance", int(9 * width)
        )
    )
    return figure


def _how(sweep: SweepView, view: ImportanceView) -> str:
    if view.reason is not None:
        return "An honest answer takes more trials."
    budget = "the full budget" if view.full_budget else "the last one before early stopping ended any trial"
    left_out = (
        f" Left out, active in too few trials or constant: {', '.join(view.left_out)}."
        if view.left_out
        else ""
    )
    return (
        f"Dots: PED-ANOVA's importance for being among the best quarter, at epoch {view.epoch} ({budget}), each among "
        f"the n trials in which the parameter was active; lines: 80% of {RESAMPLES} bootstraps, grey bars: what 95% "
        f"of {SHUFFLES} sweeps with shuffled scores stay below. Bold: beyond chance at 5%, corrected for having "
        f"looked at {phrases.plural(len(view.parameters), 'parameter')}. "
        "Shuffling takes the trials for independent, which an adaptive sampler's are not quite; and a value that only "
        f"spoils trials, without making any of the best, shows less here than in the figures by value.{left_out}"
    )


IMPORTANCE = ReportFigure(
    name="importance",
    title="Which parameters mattered",
    numbers=lambda landscape: landscape.importance,
    applies=always,
    draw=_draw,
    narrow=partial(_draw, width=NARROW),
    finding=lambda sweep, view: words.importance(view),
    how=_how,
    claims=("parameter_matters",),
)
