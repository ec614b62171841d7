"""What one more training of an exported config comes to, with a new seed and judged on other examples.

Its middle is what the model of all trials expects of the config, in place of the score that it was picked for. Its
width is what the model does not know of the config, and chance: in the examples that the sweep judged by, in the seed,
and in the examples that the next training is judged by. How often it holds: benchmarks/results/promise_coverage.md.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from scipy import stats

from ubn_sweep.export.candidates import Candidate
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.confirmed import COVERAGE, within
from ubn_sweep.landscape.views.expected import Expected, can_expect, expected_at_the_end
from ubn_sweep.landscape.views.numbers import binomial_error
from ubn_sweep.records.metrics import Metric
from ubn_sweep.training.provenance import Forecast


def forecasts_of(sweep: SweepView, candidates: Sequence[Candidate]) -> list[Forecast | None]:
    """One for each candidate; none of those that did not finish, or where nothing says how trainings spread."""
    promises_objective = sweep.metric == sweep.task.metrics[0]
    if (
        not promises_objective
        or not sweep.metric.is_share
        or sweep.validation_examples is None
        or not can_expect(sweep)
    ):
        return [None] * len(candidates)
    expected = expected_at_the_end(sweep, [candidate.trial for candidate in candidates])
    spread = pooled_spread(sweep)
    return [
        _forecast(sweep, expected, place, spread) if candidate.is_finished else None
        for place, candidate in enumerate(candidates)
    ]


def pooled_spread(sweep: SweepView) -> tuple[float, int] | None:
    """(standard deviation of a trial's mean over its repeats, degrees of freedom), from all finished trials together;
    None where each was trained with one seed."""
    spreads = [trial.repeat_std for trial in sweep.finished if trial.repeat_std is not None]
    freedom = len(spreads) * (sweep.repeats - 1)
    if freedom < 1:
        return None
    return math.sqrt(math.fsum(std**2 for std in spreads) / len(spreads) / sweep.repeats), freedom


def of_one_more(found: Forecast, *, by_chance: float, coverage: float = COVERAGE) -> tuple[float, float]:
    """Bounds of one more training's score; `by_chance` is the standard error of a share of the examples that judge it.

    They lie Student's quantile times sqrt(e^2 + s^2 + chance^2) apart from what is expected, with its error e and the
    spread s over seeds, and as many degrees of freedom as these have by Welch's formula: infinitely many of a model's.
    """
    known = found.mean_error**2 + found.std**2
    total = known + by_chance**2
    freedom = math.inf
    if found.freedom is not None and known > 0:
        freedom = found.freedom * (total / known) ** 2
    half = float(stats.t.ppf(0.5 + coverage / 2, freedom)) * math.sqrt(total)
    return found.expected - half, found.expected + half


def with_bounds(found: Forecast, metric: Metric, *, by_chance: float) -> Forecast:
    """With the bounds of a training that is judged by other examples, as many as the validation has."""
    low, high = of_one_more(found, by_chance=by_chance)
    return dataclasses.replace(found, low=within(metric, low), high=within(metric, high))


def _forecast(sweep: SweepView, found: Expected, place: int, spread: tuple[float, int] | None) -> Forecast:
    assert sweep.validation_examples is not None
    expected = sweep.metric.better(float(found.mean[place]))
    by_chance = binomial_error(expected, sweep.validation_examples)
    std, freedom = (float(found.training[place]), None) if spread is None else spread
    seeds = "one seed each" if spread is None else f"{sweep.repeats} seeds each"
    bare = Forecast(
        expected=expected,
        mean_error=math.hypot(float(found.deviation[place]), by_chance),
        std=std,
        freedom=freedom,
        replicated=spread is not None,
        source=f"a model of {len(sweep.trials)} trials, {seeds}",
    )
    return with_bounds(bare, sweep.metric, by_chance=by_chance)
