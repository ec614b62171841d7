"""From BatchNorm to the best UBN config, one change at a time."""

from __future__ import annotations

import textwrap
from functools import partial

from matplotlib.figure import Figure

from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BLUE,
    INK,
    MUTED,
    NARROW,
    PAPER,
    WIDE,
    metric_name,
    new_figure,
    score_axis,
)
from ubn_sweep.landscape.phrases import amount, bare
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.ablation import AblationStep, AblationView


def _draw(sweep: SweepView, view: AblationView, *, width: float = WIDE) -> Figure:
    """Downwards: what is expected after each change, with its interval, and what the change adds."""
    rows = len(view.steps) + 1
    figure, (axes,) = new_figure(1, width=width, height=0.9 + (0.42 if width > NARROW else 0.5) * rows)
    scores = [view.start, *(step.score for step in view.steps)]
    bands = [(view.start_low, view.start_high), *((step.low, step.high) for step in view.steps)]
    axes.plot(scores, range(rows), color=MUTED, linewidth=0.9, zorder=2)
    for place, (score, (low, high)) in enumerate(zip(scores, bands, strict=True)):
        told = place > 0 and view.steps[place - 1].is_told
        color = BLUE if told else MUTED
        axes.plot([low, high], [place, place], color=color, linewidth=1.6, solid_capstyle="round", zorder=3)
        axes.plot([score], [place], "o", color=color, markersize=6, markeredgecolor=PAPER, zorder=4)
    letters = 46 if width > NARROW else 24
    names = ["BatchNorm", *(f"{step.change}   {_gain(sweep, step)}" for step in view.steps)]
    axes.set_yticks(range(rows), [textwrap.fill(name, letters) for name in names])
    for label, told in zip(axes.get_yticklabels(), [False, *(s.is_told for s in view.steps)], strict=True):
        label.set_fontsize(8 if width > NARROW else 7)
        label.set_color(INK if told else MUTED)
        label.set_fontweight("bold" if told else "normal")
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlabel(f"{metric_name(sweep)}, expected")
    score_axis(axes.xaxis, sweep)
    axes.grid(axis="y", alpha=0)
    return figure


def _gain(sweep: SweepView, step: AblationStep) -> str:
    sign = "+" if step.gain >= 0 else "−"
    return f"{sign}{bare(sweep, abs(step.gain))}"


def _finding(sweep: SweepView, view: AblationView) -> str:
    told = [step for step in view.steps if step.is_told]
    path = f"On the way from plain BatchNorm to the best UBN config (trial {view.trial})"
    if not told:
        return f"{path}, no single change is told to matter."
    parts = [
        f"{step.change}, {amount(sweep, abs(step.gain))} {'better' if step.gain > 0 else 'worse'} (90% interval "
        f"{_signed(sweep, step.gain_low)} to {_signed(sweep, step.gain_high)})"
        for step in told
    ]
    return f"{path}, these changes are told to matter: {'; '.join(parts)}."


def _signed(sweep: SweepView, value: float) -> str:
    return f"{'−' if value < 0 else ''}{bare(sweep, abs(value))}"


def _how(sweep: SweepView, view: AblationView) -> str:
    return (
        f"Downwards, one change at a time: each is the one of which the model expects most next. It begins with "
        f"{view.begin}, and ends with the finished config of UBN of which the model expects most. Dots are medians at "
        f"epoch {sweep.max_epochs}, lines hold 90% of joint draws. A change is blue where all but 5% of the draws, "
        f"shared between {len(view.steps)} changes and both sides, say that it is a gain, or a loss, and where the "
        "data are clearly more likely with its influence than without. A change that pays after others may not pay "
        "without them; changes that do nothing come in any order. No config between the ends need have been trained."
    )


ABLATION = ReportFigure(
    name="ablation",
    title="From BatchNorm to the best config",
    numbers=lambda landscape: landscape.ablation,
    applies=lambda view: view.reason is None and bool(view.steps),
    draw=_draw,
    narrow=partial(_draw, width=NARROW),
    finding=_finding,
    how=_how,
    claims=("change_matters",),
)
