"""What is said under each figure: what it shows, n, the spread, and what not to read into it."""

from __future__ import annotations

from dataclasses import dataclass

from ubn_sweep.landscape import words
from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.views.curve_fit import MIN_POINTS, CurveFit
from ubn_sweep.landscape.views.importance import RESAMPLES, SHUFFLES
from ubn_sweep.landscape.views.threshold import ThresholdCurve

TITLES = {
    "threshold": "Threshold and score",
    "importance": "Which parameters mattered",
    "rectifiers": "Rectifier choices",
    "condensation": "Condensation and score",
    "layers": "Condensation over the depth",
    "course": "The sweep's course",
}


@dataclass(frozen=True, kw_only=True)
class Caption:
    title: str
    finding: str
    """One sentence: what the figure says. Screen readers say it too."""
    how: str
    """How it was made, with n and spread."""


def captions(landscape: Landscape) -> dict[str, Caption]:
    """By the figure's name."""
    texts = {
        "threshold": (words.threshold(landscape), _threshold(landscape)),
        "importance": (words.importance(landscape), _importance(landscape)),
        "rectifiers": (_rectifier_finding(landscape), _rectifiers(landscape)),
        "condensation": (_condensation_finding(landscape), _condensation(landscape)),
        "layers": (
            "How condensed the best trials' features are, from the input on the left to the output.",
            _layers(),
        ),
        "course": (
            words.counts(landscape),
            "Each line is a trial, a dot its last epoch; the best is drawn in bold.",
        ),
    }
    return {name: Caption(title=TITLES[name], finding=texts[name][0], how=texts[name][1]) for name in TITLES}


def _threshold(landscape: Landscape) -> str:
    view = landscape.threshold
    parts = [_curve(view.full, f"Finished trials at the full budget of {view.full.epoch} epochs")]
    if view.stopped:
        parts.append(
            f"Hollow marks beneath are {words.plural(len(view.stopped), 'trial')} that ended earlier, at the epoch "
            "where they ended: they take no part in the curve above."
        )
    if view.early is not None:
        parts.append(
            _curve(
                view.early,
                f"On the right, every trial at epoch {view.early.epoch}, before early stopping selects",
            )
        )
    parts.append(
        "The curve averages Gaussian processes; its band is the 95% credible band of the mean over the other "
        "parameters, which vary as well and make the single trials scatter. A dashed curve is not told from a "
        "constant; the bar on the axis holds 80% of the optimum's probability. Orange: the mean of the gate switched "
        "off, and its 95% interval."
    )
    return " ".join(parts)


def _curve(curve: ThresholdCurve, what: str) -> str:
    n = f"n = {len(curve.points)} with the gate, {len(curve.gate_off)} without"
    if not isinstance(curve.fit, CurveFit):
        return f"{what}: {n}; a curve takes {MIN_POINTS}."
    flat = f"{curve.fit.flat_probability:.0%}" if curve.fit.flat_probability >= 0.01 else "less than 1%"
    return f"{what}: {n}; probability that the threshold has no influence: {flat}."


def _importance(landscape: Landscape) -> str:
    view = landscape.importance
    if view.reason is not None:
        return "An honest answer takes more trials."
    budget = (
        "the full budget" if view.full_budget else "the last epoch that three quarters of the trials reached"
    )
    left_out = (
        f" Left out, active in too few trials or constant: {', '.join(view.left_out)}."
        if view.left_out
        else ""
    )
    return (
        f"Dots: PED-ANOVA's importance for being among the best quarter, at epoch {view.epoch} ({budget}), each among "
        f"the n trials in which the parameter was active; lines: 80% of {RESAMPLES} bootstraps, grey bars: what 95% "
        f"of {SHUFFLES} sweeps with shuffled scores stay below. Bold: beyond chance at 5%, corrected for having "
        f"looked at {words.plural(len(view.parameters), 'parameter')}. "
        "Shuffling takes the trials for independent, which an adaptive sampler's are not quite; and a value that only "
        f"spoils trials, without making any of the best, shows less here than in the figures by value.{left_out}"
    )


def _rectifier_finding(landscape: Landscape) -> str:
    """The choices whose early intervals do not overlap."""
    clear = []
    for choice in landscape.rectifiers.choices:
        means = [group.early_mean or group.finished_mean for group in choice.groups]
        known = [
            mean for mean in means if mean is not None and mean.low is not None and mean.high is not None
        ]
        if len(known) > 1 and max(m.low or 0.0 for m in known) > min(m.high or 0.0 for m in known):
            clear.append(choice.title)
    if not clear:
        return "No rectifier choice stands out: the intervals of its values overlap."
    return f"Intervals that do not overlap: {', '.join(clear)}."


def _rectifiers(landscape: Landscape) -> str:
    epoch = landscape.rectifiers.early_epoch
    early = f" (second n: all that reached epoch {epoch}, below)" if epoch is not None else ""
    return (
        f"Each dot is a trial; n counts the finished ones{early}. Bars: means, and their 95% intervals where n is 3 or "
        "more. The intervals are for one comparison each; with several choices, one in twenty misleads. Finished "
        "trials were selected by early stopping, which brings the values nearer to each other."
    )


def _condensation_finding(landscape: Landscape) -> str:
    shown = [item for item in landscape.condensation.correlations if item.is_shown]
    if not shown:
        return "No correlation between condensation and score stands out from chance."
    names = {"similarity": "a higher running similarity", "gate_open": "a larger share of open gates"}
    parts = [
        f"{names[i.measure]} goes with {'better' if i.rho > 0 else 'worse'} scores (epoch {i.epoch}, n = {i.n})"
        for i in shown
    ]
    return f"{'; '.join(parts)}.".capitalize()


def _condensation(landscape: Landscape) -> str:
    points = landscape.condensation.points
    return (
        f"{words.plural(len(points), 'trial')} with a gate, at their last epochs: filled, finished; hollow, ended "
        "earlier. ρ is Spearman's rank correlation of trials at one epoch, positive where more means better, with "
        "95% of 1,000 bootstraps. The threshold itself decides how often gates are open: no cause can be read here."
    )


def _layers() -> str:
    return (
        "Each row is one of the up to eight best trials with a gate, at its last epoch: above, the running similarity "
        "of each layer's input; below, the share of that epoch's batches with which the gate was open."
    )
