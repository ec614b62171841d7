"""Where trials come to nothing."""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import INK, MUTED, NARROW, ORANGE, PAPER, WIDE, new_figure
from ubn_sweep.landscape.phrases import plural
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.failure_map import FailureMapView

ROW = 0.24
"""Height of a part's row, in inches."""
MOST_TOLD = 3


def _draw(sweep: SweepView, view: FailureMapView, *, width: float = WIDE) -> Figure:
    """A row for each part of each parameter: the share that came to nothing, with its interval."""
    rows = [
        (f"{parameter.title} {region.name}", region)
        for parameter in view.parameters
        for region in parameter.regions
    ]
    gaps = len(view.parameters) - 1
    figure, (axes,) = new_figure(1, width=width, height=0.8 + ROW * (len(rows) + 0.5 * gaps))
    place, places = 0.0, []
    for parameter in view.parameters:
        for region in parameter.regions:
            color = ORANGE if region.is_told else MUTED
            axes.plot([region.low, region.high], [place, place], color=color, linewidth=1.5)
            axes.plot(
                [region.nothing / region.n], [place], "o", color=color, markersize=6, markeredgecolor=PAPER
            )
            places.append(place)
            place += 1.0
        place += 0.5
    across = axes.get_yaxis_transform()
    for at, (_, region) in zip(places, rows, strict=True):
        axes.text(
            1.0,
            at,
            f"{region.nothing} of {region.n}",
            transform=across,
            ha="right",
            va="center",
            fontsize=7.5,
        )
    axes.set_yticks(places, [name for name, _ in rows])
    for label, (_, region) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontsize(8 if width > NARROW else 7)
        label.set_color(INK if region.is_told else MUTED)
        label.set_fontweight("bold" if region.is_told else "normal")
    axes.set_ylim(place - 0.5 + 0.1, -0.7)
    axes.axvline(view.nothing / view.trials, color=INK, linewidth=0.9, linestyle="--", zorder=1)
    axes.set_xlim(-0.02, 1.2)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("failed or diverged; dashed: of all trials")
    axes.grid(axis="y", alpha=0)
    return figure


def _finding(sweep: SweepView, view: FailureMapView) -> str:
    all_of = f"{view.nothing} of {plural(view.trials, 'ended trial')} failed or diverged"
    if not view.told:
        return f"{all_of}; no part of any range stands out from chance."
    parts = []
    for parameter, region in view.told[:MOST_TOLD]:
        why = ", ".join(f"{reason} ({count})" for reason, count in region.reasons)
        parts.append(f"{parameter.title} {region.name}: {region.nothing} of {region.n} ({why})")
    more = f"; and {len(view.told) - MOST_TOLD} more" if len(view.told) > MOST_TOLD else ""
    return f"{all_of}, more than chance explains where {'; '.join(parts)}{more}."


def _how(sweep: SweepView, view: FailureMapView) -> str:
    return (
        "Each row is one value, or a quarter of a range on its own scale, of the trials in which the parameter was "
        "active and that have ended. Lines: Wilson's 95% interval of the share. Orange and bold: more than elsewhere "
        f"by Fisher's exact test, corrected for {plural(view.looks, 'part')} looked at. All else varies too, and a "
        "sampler that learns comes back to bad regions less often: the cause may be another parameter."
    )


FAILURE_MAP = ReportFigure(
    name="failure_map",
    title="Where trials come to nothing",
    numbers=lambda landscape: landscape.failure_map,
    applies=lambda view: bool(view.parameters),
    draw=_draw,
    narrow=partial(_draw, width=NARROW),
    finding=_finding,
    how=_how,
    claims=("failures_at",),
)
