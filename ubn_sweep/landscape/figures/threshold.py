"""Threshold against score: at the full budget, and at the common early epoch."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ubn_sweep.landscape import phrases, words
from ubn_sweep.landscape.figures.entry import ReportFigure
from ubn_sweep.landscape.figures.style import (
    BAND,
    BLUE,
    MOST_MARKS,
    MUTED,
    NARROW,
    OFF_BAND,
    ORANGE,
    PAPER,
    WIDE,
    metric_name,
    name_marks,
    name_starts,
    note,
    score_axis,
    thinned,
    thinning_note,
)
from ubn_sweep.landscape.needs import CURVE_TRIALS
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.curve_fit import CurveFit
from ubn_sweep.landscape.views.threshold import ThresholdCurve, ThresholdView

PANELS = 3


def _applies(view: ThresholdView) -> bool:
    return view.varied and bool(view.full.points or view.stopped or view.early)


def _draw(sweep: SweepView, view: ThresholdView) -> Figure:
    """Finished trials, beneath them those that ended earlier, and beside them all trials at the common epoch."""
    figure = Figure(figsize=(WIDE, 4.6 if view.stopped else 3.8), layout="constrained")
    left = ["full", "stopped"] if view.stopped else ["full"]
    rows = [[name, "early"] if view.early is not None else [name] for name in left]
    return _filled(figure, figure.subplot_mosaic(rows, height_ratios=[2.6, 1][: len(rows)]), sweep, view)


def _narrow(sweep: SweepView, view: ThresholdView) -> Figure:
    """All trials at the common epoch above, since they say the most; beneath them the others."""
    heights = {"early": 2.9, "full": 2.9, "stopped": 1.2}
    absent = {"early": view.early is None, "stopped": not view.stopped}
    rows = [name for name in heights if not absent.get(name, False)]
    ratios = [heights[name] for name in rows]
    figure = Figure(figsize=(NARROW, sum(ratios) + 0.3), layout="constrained")
    return _filled(
        figure, figure.subplot_mosaic([[name] for name in rows], height_ratios=ratios), sweep, view
    )


def _filled(figure: Figure, panels: dict[str, Axes], sweep: SweepView, view: ThresholdView) -> Figure:
    """`panels` are `full`, and `early` and `stopped` where the view has them."""
    left = ["full", "stopped"] if view.stopped else ["full"]
    _panel(panels["full"], sweep, view, view.full)
    panels["full"].set_title(f"Finished trials, epoch {view.full.epoch}")
    panels["full"].set_ylabel(metric_name(sweep))
    score_axis(panels["full"].yaxis, sweep)
    if view.early is not None:
        _panel(panels["early"], sweep, view, view.early)
        panels["early"].set_title(f"All trials after epoch {view.early.epoch}")
        score_axis(panels["early"].yaxis, sweep)
    if view.stopped:
        _stopped(panels["stopped"], view, sweep.max_epochs)
        panels["full"].tick_params(labelbottom=False)
    for name in [name for name in ("early", left[-1]) if name in panels]:
        panels[name].set_xlabel("feature condensation threshold")
    return figure


def _panel(axes: Axes, sweep: SweepView, view: ThresholdView, curve: ThresholdCurve) -> None:
    _threshold_axis(axes, view)
    _gate_off(axes, curve)
    _starts_without_gate(axes, sweep, curve)
    points = thinned(curve.points, MOST_MARKS // PANELS)
    name_starts(axes, sweep, {point.trial: (point.threshold, point.score) for point in curve.points})
    marks = axes.scatter(
        [p.threshold for p in points], [p.score for p in points],
        s=26, color=BLUE, edgecolor=PAPER, linewidth=0.6, zorder=4,
    )  # fmt: skip
    name_marks(marks, [p.trial for p in points])
    if isinstance(curve.fit, CurveFit):
        _fit(axes, curve.fit)
    elif points or curve.gate_off:
        axes.text(
            0.985, 0.97, f"no curve: {curve.fit.reason}",
            transform=axes.transAxes, ha="right", va="top", fontsize=7.5, color=MUTED,
        )  # fmt: skip
    if not points and not curve.gate_off:
        note(axes, "no trial has come here yet")


def _fit(axes: Axes, fit: CurveFit) -> None:
    axes.fill_between(fit.x, fit.low, fit.high, color=BAND, linewidth=0, zorder=1, alpha=0.75)
    style = "-" if fit.shape_is_shown else "--"
    axes.plot(fit.x, fit.mean, style, color=BLUE, linewidth=1.8, zorder=3)
    if fit.shape_is_shown:
        axes.axvspan(fit.optimum_low, fit.optimum_high, ymax=0.025, color=BLUE, linewidth=0, zorder=3)


def _gate_off(axes: Axes, curve: ThresholdCurve) -> None:
    found = curve.gate_off_mean
    if found is None:
        return
    if found.low is not None and found.high is not None:
        axes.axhspan(found.low, found.high, color=OFF_BAND, alpha=0.6, linewidth=0, zorder=0)
    axes.axhline(found.mean, color=ORANGE, linewidth=1.2, zorder=1)
    axes.annotate(
        f"gate off, n = {found.n}", (1.0, found.mean), xycoords=("axes fraction", "data"),
        xytext=(-4, 3), textcoords="offset points", ha="right", va="bottom", color=ORANGE, fontsize=8.5,
        zorder=6,
    )  # fmt: skip


def _starts_without_gate(axes: Axes, sweep: SweepView, curve: ThresholdCurve) -> None:
    """BatchNorm, for one, has no threshold: a mark at the left edge, named, at its score."""
    with_gate = {point.trial for point in curve.points}
    for trial in sweep.trials:
        if trial.start and trial.number not in with_gate and curve.epoch in trial.curve:
            place = 0.012, trial.curve[curve.epoch]
            axes.plot(*place, ">", color=ORANGE, markersize=5, transform=axes.get_yaxis_transform(), zorder=6)
            axes.annotate(
                trial.start, place, xycoords=("axes fraction", "data"), xytext=(6, -3), textcoords="offset points",
                color=ORANGE, fontsize=7.5, va="top", zorder=7,
            )  # fmt: skip


def _stopped(axes: Axes, view: ThresholdView, max_epochs: int) -> None:
    """Hollow, at the epoch where they ended: their scores belong to different epochs, and to no curve."""
    _threshold_axis(axes, view)
    points = thinned(view.stopped, MOST_MARKS // PANELS)
    marks = axes.scatter(
        [p.threshold for p in points], [p.epoch for p in points],
        s=22, facecolor="none", edgecolor=MUTED, linewidth=0.9, zorder=2,
    )  # fmt: skip
    name_marks(marks, [p.trial for p in points])
    axes.set_ylim(0, max_epochs + 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.set_ylabel("ended earlier,\nafter epoch")


def _threshold_axis(axes: Axes, view: ThresholdView) -> None:
    if view.log:
        axes.set_xscale("log")
        return
    pad = 0.03 * (view.high - view.low)
    axes.set_xlim(view.low - pad, view.high + pad)


def _how(sweep: SweepView, view: ThresholdView) -> str:
    parts = [_of_curve(view.full, f"Finished trials at the full budget of {view.full.epoch} epochs")]
    if view.stopped:
        parts.append(
            f"Hollow marks beneath are {phrases.plural(len(view.stopped), 'trial')} that ended earlier, at the epoch "
            "where they ended: they take no part in the curve above."
        )
    if view.early is not None:
        parts.append(
            _of_curve(
                view.early,
                f"The other curve has every trial at epoch {view.early.epoch}, before early stopping selects",
            )
        )
    parts.append(
        "The curve averages Gaussian processes; its band is the 95% credible band of the mean over the other "
        "parameters, which vary as well and make the single trials scatter. A dashed curve is not told from a "
        "constant; the best threshold lies on the bar on the axis with a probability of 80%. Orange: the mean "
        "of the gate switched off, and its 95% interval."
    )
    early = 0 if view.early is None else len(view.early.points)
    return " ".join(parts) + thinning_note(PANELS * max(len(view.full.points), len(view.stopped), early))


def _of_curve(curve: ThresholdCurve, what: str) -> str:
    n = f"n = {len(curve.points)} with the gate, {len(curve.gate_off)} without"
    if not isinstance(curve.fit, CurveFit):
        return f"{what}: {n}; a curve takes {CURVE_TRIALS}."
    flat = f"{curve.fit.flat_probability:.0%}" if curve.fit.flat_probability >= 0.01 else "less than 1%"
    return f"{what}: {n}; probability that the threshold has no influence: {flat}."


THRESHOLD = ReportFigure(
    name="threshold",
    title="Threshold and score",
    numbers=lambda landscape: landscape.threshold,
    applies=_applies,
    draw=_draw,
    narrow=_narrow,
    finding=words.threshold,
    how=_how,
    claims=("threshold_curve", "gate_gain"),
)
