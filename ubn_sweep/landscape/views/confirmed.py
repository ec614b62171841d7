"""What a race found: how each config did over its rounds, and what the winner is worth on rounds that chose nobody."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ubn_sweep.landscape.views.numbers import group_mean
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.race import RaceConfig
from ubn_sweep.records.racing import RaceStanding, standing
from ubn_sweep.records.trials import TrialRecord, Trials

COVERAGE = 0.90
"""Of the intervals here."""
Scores = Mapping[tuple[int, int], float]
"""(entrant, round) -> the metric in its own unit after the last epoch; NaN of a training without one."""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Mean over trainings, each on a seed and a split of its own."""

    n: int
    mean: float
    low: float | None
    """Bounds of its 90% interval, by Student's t; None where too few trainings say how they spread."""
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Raced:
    """One entrant over the rounds that chose."""

    name: str
    trial: int | None
    worth: Worth | None
    """None where no training of it has a score."""
    left_after: int | None
    """Round; None of those that stayed."""
    why: str


@dataclass(frozen=True, kw_only=True)
class Against:
    """The winner less the baseline, round by round, on the held-out ones."""

    name: str
    worth: Worth
    """Of the baseline."""
    difference: Worth
    """Turned so that positive means that the winner is better."""


@dataclass(frozen=True, kw_only=True)
class Winner:
    """What the chosen config is worth: of the held-out rounds alone."""

    name: str
    trial: int
    worth: Worth
    std: float
    """Of one training, over seeds and splits: pooled over both kinds of rounds, about the mean of each."""
    freedom: int
    """Degrees of freedom of that deviation."""
    next_low: float
    """What one more training, on as many validation examples, lies between in nine cases of ten."""
    next_high: float
    against: Against | None
    """None without a baseline, or where it is the winner."""


@dataclass(frozen=True, kw_only=True)
class ConfirmedView:
    """A race as it stands."""

    race: str
    """Its name."""
    sweep: str
    metric: Metric
    choosing: int
    held_out: int
    entrants: tuple[Raced, ...]
    is_over: bool
    trainings: int
    winner: Winner | None
    """None before the held-out rounds are trained, or where nobody is left."""


def confirmed_view(trials: Trials, race: RaceConfig, metric: Metric) -> ConfirmedView:
    """From the race's own journal; `metric` need not be the one that it is decided by."""
    objective = trials.spec["objective"]
    sign = -1.0 if objective.get("mode") == "min" else 1.0
    by_place = {race.place_of(trial.created.params): trial for trial in trials}
    done = {
        place: trial for place, trial in by_place.items() if place is not None and trial.ended is not None
    }
    found = standing(
        race, {place: sign * _score(trial, objective["metric"]) for place, trial in done.items()}
    )
    scores = {place: _score(trial, metric.name) for place, trial in done.items()}
    return ConfirmedView(
        race=trials.started.name,
        sweep=race.of,
        metric=metric,
        choosing=race.choosing,
        held_out=len(race.rounds) - race.choosing,
        entrants=tuple(_raced(race, found, scores, entrant, metric) for entrant in range(len(race.entrants))),
        is_over=trials.ended is not None,
        trainings=len(trials),
        winner=_winner(race, found, scores, metric) if trials.ended is not None else None,
    )


def within(metric: Metric, value: float) -> float:
    """A value of the metric no further than it can be: no accuracy exceeds 100%."""
    low, high = metric.bounds
    return metric.better(min(max(metric.better(value), low), high))


def worth(values: Sequence[float], metric: Metric | None = None) -> Worth | None:
    """mean ± t(0.95, n - 1) * std / sqrt(n), the interval from three values on; None without any.

    `metric`: whose values they are, and within whose bounds the interval lies; None of differences.
    """
    found = group_mean(values)
    if found is None:
        return None
    if found.low is None or found.std is None:
        return Worth(n=found.n, mean=found.mean, low=None, high=None)
    half = _quantile(found.n - 1) * found.std / math.sqrt(found.n)
    low, high = found.mean - half, found.mean + half
    if metric is not None:
        low, high = within(metric, low), within(metric, high)
    return Worth(n=found.n, mean=found.mean, low=low, high=high)


def _score(trial: TrialRecord, metric: str) -> float:
    return trial.last_value(metric) if trial.status == "completed" else math.nan


def _of(scores: Scores, entrant: int, rounds: range) -> list[float]:
    found = (scores.get((entrant, number), math.nan) for number in rounds)
    return [score for score in found if math.isfinite(score)]


def _raced(race: RaceConfig, found: RaceStanding, scores: Scores, entrant: int, metric: Metric) -> Raced:
    one, left = race.entrants[entrant], found.left.get(entrant)
    return Raced(
        name=one.name,
        trial=one.trial,
        worth=worth(_of(scores, entrant, range(race.choosing)), metric),
        left_after=None if left is None else left.round,
        why="" if left is None else left.why,
    )


def _winner(race: RaceConfig, found: RaceStanding, scores: Scores, metric: Metric) -> Winner | None:
    if found.winner is None:
        return None
    held_out = range(race.choosing, len(race.rounds))
    own = _of(scores, found.winner, held_out)
    value = worth(own, metric)
    if value is None or value.n < 2:
        return None
    std, freedom = _spread([own, _of(scores, found.winner, range(found.decided))])
    half = _quantile(freedom) * std * math.sqrt(1 + 1 / value.n)
    trial = race.entrants[found.winner].trial
    assert trial is not None, "a baseline without a trial cannot win"
    return Winner(
        name=race.entrants[found.winner].name,
        trial=trial,
        worth=value,
        std=std,
        freedom=freedom,
        next_low=within(metric, value.mean - half),
        next_high=within(metric, value.mean + half),
        against=_against(race, found.winner, scores, held_out, metric),
    )


def _spread(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """(standard deviation about each group's own mean, its degrees of freedom).

    The rounds that chose the winner flatter its mean there, and not its spread about it.
    """
    several = [np.asarray(group) for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    total = sum(float(((group - group.mean()) ** 2).sum()) for group in several)
    return math.sqrt(total / freedom), freedom


def _against(race: RaceConfig, winner: int, scores: Scores, rounds: range, metric: Metric) -> Against | None:
    other = race.baseline
    if other is None or other == winner:
        return None
    own, differences = worth(_of(scores, other, rounds), metric), []
    for number in rounds:
        pair = scores.get((winner, number), math.nan), scores.get((other, number), math.nan)
        if all(map(math.isfinite, pair)):
            differences.append(metric.better(pair[0]) - metric.better(pair[1]))
    difference = worth(differences)
    if own is None or difference is None:
        return None
    return Against(name=race.entrants[other].name, worth=own, difference=difference)


def _quantile(freedom: int) -> float:
    return float(stats.t.ppf(0.5 + COVERAGE / 2, freedom))
