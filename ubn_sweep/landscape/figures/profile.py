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
    MOST_MARKS,
    MUTED,
    NARROW,
    OFF_BAND,
    ORANGE,
    WIDE,
    metric_name,
    name_starts,
    score_axis,
    thinned,
    thinning_note,
)
from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.profile import Band, ProfileView


def _draw(sweep: SweepView, view: ProfileView, *, width: float = WIDE) -> Figure:
    figure = Figure(figsize=(width, 3.9), layout="constrained")
    axes = figure.subplots()
    assert view.best is not None
    assert view.average is not None
    _profile(axes, view, view.average, MUTED, OFF_BAND, "others on average")
    _profile(axes, view, view.best, BLUE, BAND, "others at their best")
    finished = [trial for trial in sweep.finished if THRESHOLD in trial.params]
    places = {trial.number: (float(trial.params[THRESHOLD]), trial.score) for trial in finished}
    points = thinned(list(places.values()), MOST_MARKS)
    axes.scatter(
        [x for x, _ in points], [score for _, score in points],
        s=20, facecolor="none", edgecolor=BLUE, linewidth=0.9, zorder=4,
    )  # fmt: skip
    name_starts(axes, sweep, places)
    if view.has_shape:
        for low, high in view.open:
            axes.axvspan(low, high, ymax=0.025, color=ORANGE, linewidth=0, zorder=5)
    if view.log:
        axes.set_xscale("log")
    axes.set_xlabel("feature condensation threshold")
    axes.set_ylabel(metric_name(sweep))
    score_axis(axes.yaxis, sweep)
    axes.legend(frameon=False, loc="best", fontsize=8.5)
    return figure


def _profile(axes: Axes, view: ProfileView, band: Band, color: str, fill: str, name: str) -> None:
    axes.fill_between(view.x, band.low, band.high, color=fill, alpha=0.6, linewidth=0, zorder=1)
    axes.plot(view.x, band.middle, color=color, linewidth=1.8, zorder=3, label=name)


def _finding(sweep: SweepView, view: ProfileView) -> str:
    return recommendation.profile(sweep, view)


def _how(sweep: SweepView, view: ProfileView) -> str:
    return (
        f"Read at epoch {sweep.max_epochs} from one Gaussian process over configuration and epoch, fitted to all "
        f"epochs of all trials, stopped ones too; {phrases.plural(view.trials, 'trial')} had a threshold. Others at "
        "their best: the maximum over the other parameters inside each draw from the model; on average: their mean "
        f"over {view.averaged} points of the declared space, where what is far worse than the median counts as twice "
        "as far from the best. Bands hold 90% of the draws. Hollow marks are finished trials. Orange on the axis: "
        "thresholds that are not ruled out, which are within a tenth of what lies between the best and the median "
        "config of the best one with a probability of 10% or more; no bar where none can be told from another."
        + thinning_note(view.finished)
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
    claims=("threshold_range",),
)
