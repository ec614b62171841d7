"""The threshold's two profiles at the full budget, and the thresholds that are not ruled out."""

from __future__ import annotations

from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ubn_sweep.landscape import phrases, recommendation
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BAND,
    BLUE,
    GREEN,
    GRID,
    INK,
    MOST_MARKS,
    MUTED,
    NARROW,
    OFF_BAND,
    ORANGE,
    PURPLE,
    WIDE,
    metric_name,
    name_marks,
    name_starts,
    score_axis,
    thinned,
    thinning_note,
)
from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.numbers import MIN_GROUP
from ubn_sweep.landscape.views.profile import Band, ProfileView


def _draw(sweep: SweepView, view: ProfileView, *, width: float = WIDE) -> Figure:
    """The profiles above; beneath them, on the same axis, how often gates were open."""
    has_gates = view.gates is not None and bool(view.gates.points)
    figure = Figure(figsize=(width, 5.2 if has_gates else 4.0), layout="constrained")
    rows = figure.subplots(
        2 if has_gates else 1, 1, sharex=True, squeeze=False, height_ratios=[3, 1][: 1 + has_gates]
    )
    axes, lowest = rows[0][0], rows[-1][0]
    _profiles(axes, sweep, view)
    _levels(axes, view)
    if view.log:
        axes.set_xscale("log")
    axes.set_ylabel(metric_name(sweep))
    score_axis(axes.yaxis, sweep)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside upper left", frameon=False, fontsize=8.5,
        ncols=4 if width > NARROW else 2,
    )  # fmt: skip
    if has_gates:
        _gates(lowest, view)
    lowest.set_xlabel("feature condensation threshold")
    return figure


def _profiles(axes: Axes, sweep: SweepView, view: ProfileView) -> None:
    assert view.best is not None
    assert view.average is not None
    _profile(axes, view, view.average, MUTED, GRID, "others on average", "--")
    _profile(axes, view, view.best, BLUE, BAND, "others at their best", "-")
    finished = [trial for trial in sweep.finished if THRESHOLD in trial.params]
    places = {trial.number: (float(trial.params[THRESHOLD]), trial.score) for trial in finished}
    points = thinned(list(places.items()), MOST_MARKS // 2)
    marks = axes.scatter(
        [x for _, (x, _) in points], [score for _, (_, score) in points],
        s=20, facecolor="none", edgecolor=BLUE, linewidth=0.9, zorder=4,
    )  # fmt: skip
    name_marks(marks, [trial for trial, _ in points])
    name_starts(axes, sweep, places)
    if view.has_shape:
        for low, high in view.open:
            axes.axvspan(low, high, ymax=0.03, color=GREEN, linewidth=0, zorder=5)


def _profile(axes: Axes, view: ProfileView, band: Band, color: str, fill: str, name: str, style: str) -> None:
    axes.fill_between(view.x, band.low, band.high, color=fill, alpha=0.6, linewidth=0, zorder=1)
    axes.plot(view.x, band.middle, style, color=color, linewidth=1.8, zorder=3, label=name)


def _levels(axes: Axes, view: ProfileView) -> None:
    """The gate switched off, and plain BatchNorm, across the whole axis."""
    off, plain = view.gate_off, view.batch_norm
    if off is not None and off.n >= MIN_GROUP:
        axes.axhspan(off.low, off.high, color=OFF_BAND, alpha=0.45, linewidth=0, zorder=0)
        axes.axhline(
            off.middle, color=ORANGE, linewidth=1.2, linestyle="-.", zorder=2, label="gate off, at its best"
        )
    if plain is not None:
        if plain.low is not None and plain.high is not None:
            axes.axhspan(
                plain.low, plain.high, facecolor="none", edgecolor=PURPLE, hatch="///", alpha=0.25, linewidth=0,
                zorder=0,
            )  # fmt: skip
        name = f"BatchNorm, n = {plain.n}" + (", not compared" if plain.paired is None else "")
        axes.axhline(plain.middle, color=PURPLE, linewidth=1.2, linestyle=":", zorder=2, label=name)


def _gates(axes: Axes, view: ProfileView) -> None:
    assert view.gates is not None
    points = thinned(view.gates.points, MOST_MARKS // 2)
    axes.scatter(
        [point.threshold for point in points], [point.open for point in points],
        s=14, facecolor="none", edgecolor=MUTED, linewidth=0.8, zorder=2,
    )  # fmt: skip
    axes.plot(view.gates.x, view.gates.median, color=INK, linewidth=1.4, zorder=3)
    axes.set_ylim(-0.05, 1.05)
    axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.set_ylabel("open gates")


def _finding(sweep: SweepView, view: ProfileView) -> str:
    said = (
        recommendation.profile(sweep, view),
        recommendation.gate_off(sweep, view),
        recommendation.gates(view),
    )
    return " ".join(part for part in said if part)


def _how(sweep: SweepView, view: ProfileView) -> str:
    gates = 0 if view.gates is None else len(view.gates.points)
    beneath = (
        " Beneath: the share of batches of the last epoch with an open gate, mean over the layers, of "
        f"{phrases.plural(gates, 'finished trial')}; the line: medians of eighths of the range with three or more."
        if gates
        else ""
    )
    return (
        f"Read at epoch {sweep.max_epochs} from one Gaussian process over configuration and epoch, fitted to all "
        f"epochs of all trials, stopped ones too; {phrases.plural(view.trials, 'trial')} had a threshold. Others at "
        "their best: the maximum over the other parameters inside each draw from the model; on average: their mean "
        f"over {view.averaged} points of the declared space, where what is far worse than the median counts as twice "
        "as far from the best. Bands hold 90% of the draws. Hollow marks are finished trials. Green on the axis: "
        "thresholds that are not ruled out, which are within a tenth of what lies between the best and the median "
        "config of the best one with a probability of 10% or more; no bar where none can be told from another. The "
        "gate off is read from the same model, at its best, too. BatchNorm: the mean of its finished trials, with a "
        "90% interval over them, or with fewer than three by chance in the examples alone. "
        f"{recommendation.batch_norm(sweep, view)} {recommendation.check(sweep, view)}{beneath}"
        + thinning_note(2 * max(view.finished, gates))
    )


PROFILE = ReportFigure(
    name="profile",
    title="Threshold and what can be reached with it",
    numbers=lambda landscape: landscape.profile,
    applies=lambda view: view.reason is None,
    draw=_draw,
    narrow=partial(_draw, width=NARROW),
    finding=_finding,
    how=_how,
    claims=("threshold_range", "gate_by_model"),
)
