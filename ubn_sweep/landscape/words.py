"""The landscape in sentences: each states what was found, how sure that is, and from how many trials."""

from __future__ import annotations

from ubn_sweep.landscape import recommendation
from ubn_sweep.landscape.advice import audits, batch_norm, failures, leaders
from ubn_sweep.landscape.analysis import Landscape
from ubn_sweep.landscape.confirmation import confirmed
from ubn_sweep.landscape.null import Null
from ubn_sweep.landscape.phrases import amount, interval, plural, score_text
from ubn_sweep.landscape.prices import priced
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.course import CourseView
from ubn_sweep.landscape.views.curve_fit import CurveFit
from ubn_sweep.landscape.views.front import FrontView
from ubn_sweep.landscape.views.importance import ImportanceView
from ubn_sweep.landscape.views.numbers import MIN_GROUP
from ubn_sweep.landscape.views.ranking import Ranking
from ubn_sweep.landscape.views.threshold import ThresholdCurve, ThresholdView
from ubn_sweep.texts import as_shown

MOST_TIED = 4


def summary(landscape: Landscape, null: Null | None = None) -> tuple[str, ...]:
    """What to take home: the counts, the best, the threshold, what mattered; of claims, what they cost."""
    of_thresholds: tuple[str, ...] = ("threshold_curve", "gate_gain")
    if landscape.profile.choice is not None:
        of_thresholds = ("threshold_range", "gate_by_model", "layers_paired", "threshold_by")
    told = [
        (counts(landscape.sweep, landscape.course), ()),
        (failures(landscape.sweep, landscape.failures), ()),
        (front(landscape.sweep, landscape.front), ()),
        (best(landscape.sweep, landscape.ranking), ("told_from_best",)),
        (confirmed(landscape.confirmed), ()),
        (batch_norm(landscape.sweep, landscape.baseline), ("batch_norm",)),
        (thresholds(landscape), of_thresholds),
        (audits(landscape.audit), ("audits_turn",)),
        (leaders(landscape.leaders, landscape.threshold), ("edge",)),
        (importance(landscape.importance), ("parameter_matters",)),
    ]
    return priced(told, landscape, null)


def thresholds(landscape: Landscape) -> str:
    """Where to set the threshold: by the model of all epochs where the trials suffice, else by one epoch's scores."""
    sweep, view = landscape.sweep, landscape.threshold
    said = [
        part(sweep, landscape.profile)
        for part in (recommendation.profile, recommendation.gate_off, recommendation.batch_norm)
    ]
    if any(key.apart.is_told for key in landscape.by.keys):
        said.append(recommendation.by(landscape.by))
    return " ".join(said) if said[0] else threshold(sweep, view)


def counts(sweep: SweepView, course: CourseView) -> str:
    """`32 trials: 9 completed, 23 stopped early. 121 epochs spent; ...`"""
    words = {"stopped": "stopped early", "running": "still running"}
    parts = [f"{n} {words.get(name, name)}" for name, n in course.counts.items() if n]
    total = len(sweep.trials)
    begin = f"{plural(total, 'trial')}: {', '.join(parts)}." if parts else "No trial has started yet."
    begin = f"{together(sweep)} {begin}" if sweep.joined else begin
    if course.epochs_unstopped > course.epochs_spent:
        saved = 1 - course.epochs_spent / course.epochs_unstopped
        begin += (
            f" {course.epochs_spent} epochs spent, {saved:.0%} fewer than the "
            f"{course.epochs_unstopped} without early stopping."
        )
    return f"{begin} Ended by a rule: {sweep.ended_by}." if sweep.ended_by else begin


def together(sweep: SweepView) -> str:
    """Which sweeps these are, by what their trials are told apart, and what else differs between them."""
    told = []
    for one in sweep.joined:
        settings = "".join(f", {key} {as_shown(value)}" for key, value in one.settings.items())
        told.append(f"{one.sweep} (trials from {one.first_number} on{settings})")
    differ = (
        " What they held fixed at different values is a parameter here." if sweep.joined[0].settings else ""
    )
    return f"{len(told)} sweeps together: {', '.join(told)}.{differ}"


def front(sweep: SweepView, view: FrontView) -> str:
    """Which finished trials none beats in both objectives; empty where there is one objective."""
    if sweep.second is None:
        return ""
    if not view.on_it:
        return f"No trial has finished yet, so {sweep.objectives} have no front."
    total = len(view.on_it) + len(view.others)
    ends = [view.on_it[0]] if len(view.on_it) == 1 else [view.on_it[0], view.on_it[-1]]
    told = [f"{end.label} ({sweep.metric.text(end.first)}, {sweep.second.text(end.second)})" for end in ends]
    if len(told) == 1:
        return (
            f"By {sweep.objectives}, {told[0]} is behind none of {plural(total, 'finished trial')} in either."
        )
    return (
        f"By {sweep.objectives}, none beats {len(view.on_it)} of {plural(total, 'finished trial')} in both: from "
        f"{told[0]} to {told[1]}."
    )


def best(sweep: SweepView, ranking: Ranking) -> str:
    """The best trial, its error, and how many cannot be told from it; which trials constraints leave out."""
    left_out = len(sweep.finished) - len(sweep.candidates)
    if left_out == 0:
        return _best(sweep, ranking)
    kept = " and ".join(sweep.constraints)
    trials = plural(left_out, "finished trial")
    if not sweep.candidates:
        return f"None of {trials} keeps {kept}, so none is the best."
    return f"{_best(sweep, ranking)} Left out: {trials} without {kept}."


def _best(sweep: SweepView, ranking: Ranking) -> str:
    if not ranking.trials:
        return "No trial has a score yet." if sweep.trials else ""
    first = ranking.trials[0]
    score = f"{score_text(sweep, first)} after epoch {first.trial.scored_epoch}"
    if not ranking.full_budget:
        return (
            f"No trial has finished yet; the furthest is {first.trial.label}: {score} of {sweep.max_epochs}."
        )
    by = "" if sweep.second is None else f" by {sweep.metric.label} alone"
    sentence = f"Best{by} of {plural(len(ranking.trials), 'finished trial')}: {_leading(ranking)}, {score}"
    if ranking.tied is None:
        return f"{sentence}; {ranking.error_from}, so nothing says how far it is from the next."
    others = ranking.compared - 1
    if others == 0:
        return f"{sentence}."
    told = ranking.compared - ranking.tied
    which = {0: f"none of the other {others}", others: f"all {others} others"}.get(
        told, f"{told} of the other {others}"
    )
    return f"{sentence}. {_scope(ranking, sweep.task.example)}, {which} can be told from it; {_not_shown(ranking)}."


def _leading(ranking: Ranking) -> str:
    """`trial 3`; `trials 28 and 42, which tie`."""
    first = [row.trial for row in ranking.trials if row.behind == 0.0]
    if len(first) == 1:
        return first[0].label
    named = [str(trial.number) for trial in first[:MOST_TIED]]
    rest = f" and {len(first) - MOST_TIED} more" if len(first) > MOST_TIED else f" and {named.pop()}"
    return f"trials {', '.join(named)}{rest}, which tie"


def _scope(ranking: Ranking, example: str) -> str:
    return f"On these {example}s, one seed each" if ranking.seeds == 1 else f"Over {ranking.seeds} seeds each"


def _not_shown(ranking: Ranking) -> str:
    if ranking.seeds == 1:
        return "how much another seed would change is not known, since no config was trained with two"
    return "whether other data would change it is not known"


def threshold(sweep: SweepView, view: ThresholdView) -> str:
    """The recommendation: which thresholds, from which trials, and whether the gate pays at all."""
    if not view.varied:
        return ""
    curve, gate = view.told, gate_off(sweep, view.gate_told)
    fit = curve.fit
    if isinstance(fit, CurveFit) and fit.shape_is_shown:
        where = (
            ""
            if curve is view.full
            else f" after epoch {curve.epoch}, of all trials; the full budget may differ"
        )
        return (
            f"The best threshold lies between {fit.optimum_low:.2g} and {fit.optimum_high:.2g} with a probability "
            f"of 80% (n = {fit.n}{where}). {gate}"
        )
    if not isinstance(fit, CurveFit) and view.early is None:
        few = f"Too few trials to recommend a threshold: {plural(fit.n, 'finished trial')} with the gate on."
        return f"{few} {gate}"
    return (
        f"No threshold between {view.low:.2g} and {view.high:.2g} can be told from another "
        f"(epoch {curve.epoch}, n = {fit.n}). {gate}"
    )


def gate_off(sweep: SweepView, curve: ThresholdCurve) -> str:
    """A sentence: how the gate's trials compare with those without a gate, at the same epoch."""
    if not curve.gate_off:
        return "No trial with the gate off came that far."
    if curve.gain is None:
        return (
            f"Too few trials to compare the gate on with off: {len(curve.points)} and {len(curve.gate_off)}, of the "
            f"{MIN_GROUP} each that it takes."
        )
    found = curve.gain
    on = "The trials in that range" if curve.gain_in_range else "Trials with the gate on"
    side = "better" if found.better >= 0 else "worse"
    begin = (
        f"{on} score {amount(sweep, abs(found.better))} {side} on average than those with it off "
        f"(epoch {curve.epoch}, 95% interval: {interval(sweep, found)}; n = {found.n} and {found.n_other})"
    )
    if found.withheld:
        return f"{begin}, which such a sweep shows too often where nothing is to be found."
    return f"{begin}." if found.is_shown else f"{begin}, which chance explains."


def importance(view: ImportanceView) -> str:
    """Which parameters mattered beyond chance."""
    if view.reason is not None:
        return f"Which parameters mattered cannot be said: {view.reason}."
    shown = [row.key for row in view.parameters if row.is_shown]
    where = f"(n = {view.n} trials at epoch {view.epoch})"
    if not shown:
        return f"No parameter's influence stands out from chance {where}."
    return f"What mattered beyond chance: {', '.join(shown)} {where}."
