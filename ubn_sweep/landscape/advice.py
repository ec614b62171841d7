"""The landscape in sentences that ask for something: failures to mend, baselines to compare with, ranges to widen."""

from __future__ import annotations

from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.phrases import amount, interval, plural
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.audit import MIN_AUDITS, AuditView
from ubn_sweep.landscape.views.baseline import Baseline, BaselineView
from ubn_sweep.landscape.views.failures import FailuresView
from ubn_sweep.landscape.views.leaders import LeadersView
from ubn_sweep.landscape.views.numbers import MIN_GROUP
from ubn_sweep.landscape.views.threshold import ThresholdView

MOST_REASONS = 3


def failures(sweep: SweepView, view: FailuresView) -> str:
    """Why trials came to nothing, and what to do where none came to anything."""
    sentences = []
    failed = [group for group in view.groups if group.status == "failed"]
    if failed:
        whys = [
            f"{group.reason or 'no reason is recorded'} ({plural(len(group.trials), 'trial')})"
            for group in failed
        ]
        more = f"; and {len(failed) - MOST_REASONS} more reasons" if len(failed) > MOST_REASONS else ""
        first = min(group.trials[0] for group in failed)
        sentences.append(
            f"{_share(view, 'failed', sweep)} failed: {'; '.join(whys[:MOST_REASONS])}{more}. "
            f"`ubn-sweep logs {sweep.name} {first}` shows what the first of them printed; when that is mended, "
            f"`ubn-sweep resume {sweep.name} --retry-failed` tries them again."
        )
    if view.count("diverged") > 0 and 2 * view.count("diverged") >= len(sweep.trials):
        sentences.append(
            f"{_share(view, 'diverged', sweep)} diverged: their losses or weights became no numbers. Lower the "
            f"learning rate{_learning_rates(sweep)}, or narrow the range of what drives it up."
        )
    return " ".join(sentences)


def _share(view: FailuresView, status: str, sweep: SweepView) -> str:
    count = view.count(status)
    return (
        f"All {count} trials"
        if count == len(sweep.trials) > 1
        else f"{count} of {plural(len(sweep.trials), 'trial')}"
    )


def _learning_rates(sweep: SweepView) -> str:
    """` (optimizer.lr is 0.1 here)`, where the trials' configs show one."""
    found: dict[str, set[float]] = {}
    for trial in sweep.trials:
        for key, value in trial.config.items():
            if key.endswith(".lr"):
                found.setdefault(key, set()).add(value)
    texts = [
        f"{key} is {min(values):.3g}{f' to {max(values):.3g}' if len(values) > 1 else ''} here"
        for key, values in found.items()
    ]
    return f" ({', '.join(texts)})" if texts else ""


def batch_norm(sweep: SweepView, view: BaselineView) -> str:
    """Whether UBN is better than BatchNorm here, as far as the sweep's own trials of it say."""
    if not view.applies or not any(trial.curve for trial in sweep.trials):
        return ""
    sentences = []
    if view.batch_norm is None:
        sentences.append("No trial was plain BatchNorm: whether UBN is better than it here is not known.")
    elif view.difference is not None and view.batch_norms >= MIN_GROUP:
        found, side = view.difference, "better" if view.difference.better >= 0 else "worse"
        end = "." if found.is_shown else ", which chance explains."
        sentences.append(
            f"The other trials score {amount(sweep, abs(found.better))} {side} on average than those of plain "
            f"BatchNorm (epoch {view.epoch}, 95% interval: {interval(sweep, found)}; n = {found.n} and "
            f"{found.n_other}){end}"
        )
    else:
        of = "trial" if view.batch_norms == 1 else "best trial"
        sentences.append(
            f"{_baseline(sweep, view.batch_norm, f'Plain BatchNorm ({of} {view.batch_norm.trial})')} "
            f"{plural(view.batch_norms, 'trial').capitalize()} of it against {len(sweep.trials) - view.batch_norms} "
            "others, of which the best was picked, is no comparison of the layers."
        )
    if view.paper is not None:
        sentences.append(_baseline(sweep, view.paper, f"The paper's defaults (trial {view.paper.trial})"))
    return " ".join(sentences)


def _baseline(sweep: SweepView, found: Baseline, what: str) -> str:
    score = f"{sweep.metric.text(found.score)} after epoch {found.epoch}"
    if found.is_best:
        return f"{what}: {score}, the best itself."
    if found.place is None:
        ended = {"stopped": "was stopped early", "running": "is running"}.get(found.status, found.status)
        return (
            f"{what} {ended}: {score}, where {found.better} of the other {found.others} trials scored better."
        )
    told = {True: ", from which it cannot be told", False: ", from which it can be told"}
    how = told.get(found.place.tied, "") if found.place.tied is not None else ""
    return f"{what}: {score}, {amount(sweep, found.place.behind)} behind the best{how}."


def leaders(view: LeadersView, threshold: ThresholdView) -> str:
    """What the best trials have in common that asks for another sweep.

    Of the threshold its curve tells more: where that has no shape, an end of it is no news either.
    """
    sentences = []
    for edge in view.edges:
        if edge.key == THRESHOLD and not threshold.has_shape:
            continue
        end = "upper" if edge.upper else "lower"
        widen = (
            f"add a {'larger' if edge.upper else 'smaller'} one to `space.{edge.key}.values`"
            if edge.has_values
            else f"{'raise' if edge.upper else 'lower'} `space.{edge.key}.{'high' if edge.upper else 'low'}`"
        )
        # Most of what begins at 0 cannot be negative.
        beyond = "" if edge.bound == 0 else f": where values beyond it make sense, {widen} and sweep again"
        sentences.append(
            f"{edge.at_edge} of the {edge.n} best trials lie at the {end} end of {edge.title} ({edge.bound:.3g}), and "
            f"scores rise towards it{beyond}."
        )
    if view.with_gate > 0 and 2 * view.never_closed >= view.with_gate:
        which = "all" if view.never_closed == view.with_gate else f"{view.never_closed}"
        sentences.append(
            f"In {which} of the {view.with_gate} best trials with a gate, it was open in every batch of the last "
            "epoch: there it did what a gate switched off does, and the threshold nothing."
        )
    return " ".join(sentences)


def audits(view: AuditView) -> str:
    """What early scores are worth here, and whether early stopping prefers thresholds that end badly."""
    if view.audits == 0:
        return ""
    if not view.foretold:
        return (
            f"{plural(view.finished, 'audit')} of {view.audits} finished where early stopping ended others: it takes "
            f"{MIN_AUDITS} to say what early scores are worth."
        )
    parts = [
        f"after epoch {found.epoch} in {found.ahead:.0%} of pairs (90% interval {found.low:.0%} to {found.high:.0%})"
        for found in view.foretold
    ]
    sentences = [
        f"{view.foretold[0].n} audits, drawn at random and never stopped: of two, the one ahead is ahead at the end, "
        f"too, {', '.join(parts)}."
    ]
    turning = view.turning
    if turning is not None and turning.is_shown:
        which = "high" if turning.early > 0 else "low"
        sentences.append(
            f"Early stopping misleads here: {which} thresholds are ahead after epoch {turning.epoch} and behind at "
            f"the end (p = {turning.p_value:.2g}, n = {turning.n}). Raise `early_stopping.grace_epochs`, or set "
            "`early_stopping` to null."
        )
    return " ".join(sentences)
