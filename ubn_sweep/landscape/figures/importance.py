"""Which parameters mattered."""

from __future__ import annotations

import textwrap
from functools import partial

from matplotlib.figure import Figure

from ubn_sweep.landscape import phrases, words
from ubn_sweep.landscape.figures.entry import ReportFigure, always
from ubn_sweep.landscape.figures.style import BLUE, INK, MUTED, NARROW, PAPER, new_figure, note
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.importance import INTERVAL, SHUFFLES, ImportanceView


def _draw(sweep: SweepView, view: ImportanceView, *, width: float = 8.6) -> Figure:
    """A line for each parameter: importance, its interval, and the level that chance reaches."""
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
            "share of the trials' order that goes with it; grey: the reach of chance", int(9 * width)
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
        f"Dots: share of the variance of the scores' ranks, at epoch {view.epoch} ({budget}), that goes with the "
        "parameter alone, less what chance adds, each among the n trials in which it was active; lines: its "
        f"{INTERVAL:.0%} interval; grey bars: what 95% of {SHUFFLES:,} sweeps with shuffled scores stay below. Bold: "
        f"beyond chance at 5%, corrected for having looked at {phrases.plural(len(view.parameters), 'parameter')}. "
        "Shuffling takes the trials for independent, which an adaptive sampler's are not quite: `ubn-sweep null` "
        f"counts what that does to this sweep.{left_out}"
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
