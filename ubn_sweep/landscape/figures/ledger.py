"""What scores vary by."""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure

from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import BLUE, MUTED, NARROW, WIDE, new_figure
from ubn_sweep.landscape.phrases import amount, plural
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.ledger import LedgerView


def _draw(sweep: SweepView, view: LedgerView, *, width: float = WIDE) -> Figure:
    """A bar for each source that was measured; what was not is written where its bar would be."""
    figure, (axes,) = new_figure(1, width=width, height=0.9 + 0.42 * len(view.entries))
    largest = max((entry.std for entry in view.entries if entry.std is not None), default=0.0)
    for place, entry in enumerate(view.entries):
        if entry.std is None:
            axes.text(0.01 * largest, place, "not known", va="center", color=MUTED, fontsize=8.5)
            continue
        axes.barh(place, entry.std, height=0.55, color=BLUE, linewidth=0)
        share = "" if entry.share is None else f" ({entry.share:.0%})"
        axes.text(
            entry.std + 0.01 * largest, place, f"{amount(sweep, entry.std)}{share}", va="center", fontsize=8.5
        )
    axes.set_yticks(range(len(view.entries)), [entry.name for entry in view.entries])
    axes.set_ylim(len(view.entries) - 0.4, -0.6)
    axes.set_xlim(0, (1.3 if width > NARROW else 1.7) * largest if largest > 0 else 1)
    if sweep.metric.is_share:
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
    unit = "points" if sweep.metric.is_share else sweep.metric.unit
    axes.set_xlabel(f"standard deviation of one score{f', {unit}' if unit else ''} (share of the variance)")
    axes.grid(axis="y", alpha=0)
    return figure


def _finding(sweep: SweepView, view: LedgerView) -> str:
    known = [entry for entry in view.entries if entry.std is not None and entry.share is not None]
    parts = [f"{entry.name} {entry.share:.0%}" for entry in known]
    unknown = [entry.name for entry in view.entries if entry.std is None]
    said = f"Of the variance that was measured: {', '.join(parts)}." if parts else "No variance was measured."
    if unknown:
        said += f" Not known: {' and '.join(unknown)}."
    needed = view.needed
    if needed is None:
        return said
    two = f"trials {needed.first} and {needed.second}, {amount(sweep, needed.difference)} apart"
    if needed.seeds is None:
        return f"{said} How many seeds it takes to tell {two}, is not known: {needed.why}."
    return f"{said} To tell {two}, {needed.seeds} seeds of each are needed, if that is their true difference."


def _how(sweep: SweepView, view: LedgerView) -> str:
    measured = "; ".join(f"{entry.name}: {entry.how}" for entry in view.entries)
    return (
        f"From {plural(view.n, 'finished trial')}, which early stopping may have selected: over the whole space "
        f"configs differ more. {measured[0].upper()}{measured[1:]}. All trials are judged on the same "
        f"{sweep.task.example}s, so that these matter less between two trials than for what a score says of others. "
        "Seeds needed: a difference at 5% in four of five cases, on these examples and this split; the best of many "
        "looks better than it is."
    )


LEDGER = ReportFigure(
    name="ledger",
    title="What scores vary by",
    numbers=lambda landscape: landscape.ledger,
    applies=lambda view: any(entry.std for entry in view.entries),
    draw=_draw,
    narrow=partial(_draw, width=NARROW),
    finding=_finding,
    how=_how,
)
