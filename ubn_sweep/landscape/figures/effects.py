"""What decides, by the model: parameters, and two of them together."""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import BLUE, INK, MUTED, NARROW, PAPER, PURPLE, WIDE, new_figure
from ubn_sweep.landscape.phrases import plural
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.effects import LEAST, MOST_ASKED, Effect, EffectsView


def _draw(sweep: SweepView, view: EffectsView, *, width: float = WIDE) -> Figure:
    """A row for each parameter, and beneath them for the strongest pairs: the share with its band."""
    rows = [*view.main, *view.together]
    figure, (axes,) = new_figure(1, width=width, height=0.9 + 0.28 * len(rows))
    places = [place + (0.6 if place >= len(view.main) else 0.0) for place in range(len(rows))]
    for place, row in zip(places, rows, strict=True):
        color = MUTED if not row.is_told else BLUE if len(row.keys) == 1 else PURPLE
        axes.plot([row.low, row.high], [place, place], color=color, linewidth=1.6, solid_capstyle="round")
        axes.plot([row.middle], [place], "o" if len(row.keys) == 1 else "D", color=color, markersize=6,
                  markeredgecolor=PAPER)  # fmt: skip
    axes.set_yticks(places, [row.title for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontsize(8.5 if width > NARROW else 7.5)
        label.set_color(INK if row.is_told else MUTED)
        label.set_fontweight("bold" if row.is_told else "normal")
    axes.set_ylim(places[-1] + 0.7, -0.7)
    axes.set_xlim(left=-0.012)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("share of the variance over the space")
    axes.grid(axis="y", alpha=0)
    return figure


def _finding(sweep: SweepView, view: EffectsView) -> str:
    main = [_said(effect) for effect in view.main if effect.is_told]
    if not main:
        return "The data are not clearly more likely with any parameter's influence than without it."
    pairs = [_said(effect) for effect in view.together if effect.is_told]
    beyond = (
        f" Beyond that, together: {', '.join(pairs)}."
        if pairs
        else " No two of them are told to act together."
    )
    said = ", ".join(main)
    return (
        f"By the model of all epochs, what varies over the space at the full budget is due to {said}.{beyond}"
    )


def _said(effect: Effect) -> str:
    return f"{effect.title} ({effect.low:.0%} to {effect.high:.0%})"


def _how(sweep: SweepView, view: EffectsView) -> str:
    return (
        "Functional analysis of variance inside draws from the model, read at the last epoch over the declared space; "
        f"{plural(view.trials, 'trial')} with a score. Circles: what one parameter does alone; diamonds: what two do "
        f"beyond both, the strongest of {plural(view.pairs, 'pair')}. Lines hold 90% of the draws, and never reach 0 "
        f"where little is known. So a parameter is bold only where the data are e^{view.bar:.1f} times as likely with "
        f"its influence as without, which is asked of the first {MOST_ASKED}; and a pair where both are, and its band "
        f"lies above {LEAST:.0%}. What is far worse than the median is drawn in, so that disasters are not all."
    )


EFFECTS = ReportFigure(
    name="effects",
    title="What decides, by the model",
    numbers=lambda landscape: landscape.effects,
    applies=lambda view: view.reason is None,
    draw=_draw,
    narrow=partial(_draw, width=NARROW),
    finding=_finding,
    how=_how,
    claims=("effect", "together"),
)
