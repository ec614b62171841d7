"""Where to set the threshold on these data, how sure that is, and what being wrong costs."""

from __future__ import annotations

from ubn_sweep.landscape.phrases import amount, bare, interval, plural
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.by import ByView
from ubn_sweep.landscape.views.numbers import MIN_GROUP, Difference
from ubn_sweep.landscape.views.profile import ProfileView

NEVER_CLOSED = 0.99
"""Of batches, with an open gate."""


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
        f"{sweep.metric.text(choice.score)} (90% interval {_interval(sweep, choice.low, choice.high)}), and no "
        f"threshold is better by more than that margin with a probability of {choice.sure:.0%}; if another threshold "
        f"is the best one after all, that costs {bare(sweep, choice.loss)} on average and "
        f"{amount(sweep, choice.most_loss)} or less in nine cases of ten."
    )


def gate_off(sweep: SweepView, view: ProfileView) -> str:
    """The best with the gate on against the best with it off, both from the model; empty without profiles."""
    if view.choice is None:
        return ""
    found = view.gate_off
    if found is None:
        return "The gate was never switched off in this sweep: whether it pays is not known."
    if found.n < MIN_GROUP:
        trials = plural(found.n, "trial")
        return f"Whether the gate pays is not known: {trials} without it, of {MIN_GROUP} that it takes."
    n = f"{plural(found.n, 'trial')} without a gate, {found.finished} of them finished"
    gain = Difference(
        n=view.trials, n_other=found.n, better=found.gain, low=found.gain_low, high=found.gain_high
    )
    if not found.is_told:
        return (
            "Whether the gate pays is not shown: at the full budget the best with it is expected "
            f"{interval(sweep, gain)} than the best without (90% interval; {n})."
        )
    side = "better" if gain.better > 0 else "worse"
    return (
        f"At the full budget the best with the gate at {view.choice.x:.2g} is expected "
        f"{amount(sweep, abs(gain.better))} {side} than the best without (90% interval: {interval(sweep, gain)}; {n})."
    )


def batch_norm(sweep: SweepView, view: ProfileView) -> str:
    """UBN against BatchNorm over common settings, or that nothing is compared; empty where there are no profiles."""
    if view.choice is None:
        return ""
    found = view.batch_norm
    if found is None:
        return "No trial of plain BatchNorm finished: nothing is compared with it."
    level = f"{plural(found.n, 'finished trial')} of plain BatchNorm, at {sweep.metric.text(found.middle)}"
    if found.paired is None:
        return (
            f"{level + (' on average' if found.n > 1 else '')}, against {found.others} of UBN, without {MIN_GROUP} "
            "pairs that share all other settings: as many configs of both would be a comparison, this is none."
        )
    pair = found.paired
    gain = Difference(n=pair.pairs, n_other=pair.pairs, better=pair.better, low=pair.low, high=pair.high)
    n = f"{pair.pairs} pairs that share all other settings, {plural(found.seeds, 'seed')} each"
    looked = "" if pair.layers == 1 else f", corrected for {pair.layers} configs of the layer"
    if not pair.is_told:
        return f"Between UBN and plain BatchNorm nothing is told: {interval(sweep, gain)} (90% interval{looked}; {n})."
    side = "better" if pair.better > 0 else "worse"
    return (
        f"UBN is {amount(sweep, abs(pair.better))} {side} than plain BatchNorm (90% interval: {interval(sweep, gain)}"
        f"{looked}; {n})."
    )


def by(view: ByView) -> str:
    """Whether the best threshold differs between the groups of any parameter; empty where none were compared."""
    if not view.keys:
        return ""
    told = [(key, key.apart) for key in view.keys if key.apart.is_told]
    if not told:
        titles = [key.title for key in view.keys]
        listed = titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} or {titles[-1]}"
        return f"No best threshold is told from another by {listed} ({plural(view.pairs, 'comparison')} of groups)."
    parts = [
        f"{key.title} (higher with {apart.higher} than with {apart.lower}, with a probability of "
        f"{min(apart.probability, 0.999):.1%})"
        for key, apart in told
    ]
    return f"The best threshold depends on {'; on '.join(parts)}."


def check(sweep: SweepView, view: ProfileView) -> str:
    """Whether a second opinion agrees with the model's bands; empty without profiles."""
    found = view.check
    if found is None:
        return ""
    if found.reason is not None:
        return f"The bands were not checked: {found.reason}."
    verdict = "The bands are confirmed" if found.agree else "The bands are not confirmed, take them with care"
    return (
        f"{verdict}: they hold {found.model} of {plural(found.n, 'finished trial')} foretold without themselves, and a "
        f"conformal forest's 90% intervals ({amount(sweep, found.forest_width)} wide, the model's "
        f"{amount(sweep, found.model_width)}) hold what the model expects at {found.within:.0%} of points of the space."
    )


def gates(view: ProfileView) -> str:
    """How often gates are open at the chosen threshold; empty where too few trials say."""
    if view.choice is None or view.open_near is None:
        return ""
    share, n = view.open_near
    does = ": there the threshold does next to nothing" if share >= NEVER_CLOSED else ""
    return f"About {view.choice.x:.2g} gates are open in {share:.0%} of batches (median of {n} finished trials){does}."


def _range(low: float, high: float) -> str:
    return f"to {low:.2g}" if low == high else f"between {low:.2g} and {high:.2g}"


def _interval(sweep: SweepView, low: float, high: float) -> str:
    return f"{sweep.metric.text(low)} to {sweep.metric.text(high)}"
