"""Where to set the threshold on these data, how sure that is, and what being wrong costs."""

from __future__ import annotations

from ubn_sweep.landscape.phrases import amount, bare
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.profile import ProfileView


def profile(sweep: SweepView, view: ProfileView) -> str:
    """Thresholds that are not ruled out; empty where there are too few trials."""
    if view.choice is None or view.best is None:
        return ""
    choice = view.choice
    n = f"{view.trials} trials with a threshold, {view.finished} of them finished"
    if not view.has_shape:
        return (
            f"No threshold between {view.x[0]:.2g} and {view.x[-1]:.2g} can be told from another at the full budget, "
            f"the other parameters at their best ({n})."
        )
    ranges = " or ".join(_range(low, high) for low, high in view.open)
    return (
        f"Set the threshold {ranges}: with the other parameters at their best, all others are ruled out at 90% but for "
        f"{amount(sweep, view.margin)} ({n}). At {choice.x:.2g} the best config is expected at "
        f"{sweep.metric.text(choice.score)} (90% interval {_interval(sweep, choice.low, choice.high)}); if another "
        f"threshold is the best one after all, that costs {bare(sweep, choice.loss)} on average and "
        f"{amount(sweep, choice.most_loss)} or less in nine cases of ten."
    )


def _range(low: float, high: float) -> str:
    return f"to {low:.2g}" if low == high else f"between {low:.2g} and {high:.2g}"


def _interval(sweep: SweepView, low: float, high: float) -> str:
    return f"{sweep.metric.text(low)} to {sweep.metric.text(high)}"
