"""Did the config keep what the sweep had promised?

Only the same experiment can say so: the sweep's own protocol with a new seed. The final training is another one, since
it learns from the validation examples too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from ubn_sweep.landscape.views.numbers import CONFIDENCE, binomial_error
from ubn_sweep.records.metrics import Metric
from ubn_sweep.training.provenance import Forecast, Provenance


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A training that was tested, to be held against the promise."""

    test: float
    examples: int | None
    """How many it was tested on."""
    seeds: int = 1
    """Over how many the test is a mean."""
    same_protocol: bool = False
    """Whether it learned from what the sweep's trials learned from, and from nothing else."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The comparison of a test value with the promise, in the metric's unit, and one sentence about it."""

    test: float
    promised: float
    difference: float
    """Test less promise."""
    same_protocol: bool
    """Whether it compares one experiment with itself; else nothing is claimed."""
    margin: float | None
    """What chance explains in 95 of 100 cases: the images, and the seeds where their spread is known. None where it is
    not known."""
    seeds_known: bool
    """Whether the seeds' spread is part of it."""
    optimism: float | None
    """By how much the promise is too good on average, since the config was picked."""
    kept: bool | None
    """Whether the test is no lower than chance and optimism explain. None where that cannot be said: of two different
    experiments, without a known margin, and of a drop that another seed might explain."""
    sentence: str
    gain_from_data: float | None = None
    """Test of the final training less that of the sweep's protocol, on the same examples; None without the latter."""


def verdict(metric: Metric, *, judged: Judged, origin: Provenance) -> Verdict:
    """Compares the two values of a metric; `origin` must promise one.

    The margin is Student's quantile times sqrt(p (1 - p) / n_val + q (1 - q) / n_test + s^2 (1 / seeds + 1 / seeds')),
    with the spread s over the seeds of the sweep's trial, and as many degrees of freedom as s has by Welch's formula.
    A promise with a forecast states its own error and spread.
    """
    assert origin.promised is not None
    promised, test = origin.promised, judged.test
    margin, seeds_known = _margin(metric, judged, origin)
    kept = None
    if judged.same_protocol and margin is not None:
        is_low = metric.better(test - promised) < -(margin + (origin.optimism or 0.0))
        kept = True if not is_low else (False if seeds_known else None)
    found = Verdict(
        test=test,
        promised=promised,
        difference=test - promised,
        same_protocol=judged.same_protocol,
        margin=margin,
        seeds_known=seeds_known,
        optimism=origin.optimism,
        kept=kept,
        sentence="",
    )
    return Verdict(**{**vars(found), "sentence": _sentence(metric, found)})


def _margin(metric: Metric, judged: Judged, origin: Provenance) -> tuple[float | None, bool]:
    assert origin.promised is not None
    if not metric.is_share or judged.examples is None or origin.validation_examples is None:
        return None, False
    images = (
        binomial_error(origin.promised, origin.validation_examples) ** 2
        + binomial_error(judged.test, judged.examples) ** 2
    )
    if origin.forecast is not None:
        return _forecast_margin(judged.test, judged.examples, origin.forecast), True
    seeds_known = origin.spread is not None and origin.seeds > 1
    seeds, freedom = 0.0, math.inf
    if origin.spread is not None and seeds_known:
        seeds = origin.spread**2 * (1 / origin.seeds + 1 / judged.seeds)
        freedom = (origin.seeds - 1) * ((images + seeds) / seeds) ** 2 if seeds > 0 else math.inf
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom))
    return quantile * math.sqrt(images + seeds), seeds_known


def _forecast_margin(test: float, examples: int, forecast: Forecast) -> float:
    """Student's quantile times sqrt(e^2 + s^2 + q (1 - q) / n_test), with the promise's error e and the spread s over
    seeds, both known with the forecast's degrees of freedom."""
    known = forecast.mean_error**2 + forecast.std**2
    total = known + binomial_error(test, examples) ** 2
    freedom = forecast.freedom * (total / known) ** 2 if known > 0 else math.inf
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * math.sqrt(total)


def _sentence(metric: Metric, found: Verdict) -> str:
    size = metric.difference(abs(found.difference), digits=1)
    side = "above" if found.difference >= 0 else "below"
    begin = f"The test is {size} {side} the {metric.text(found.promised, digits=1)} that the sweep promised"
    if not found.same_protocol:
        return (
            f"{begin}. These are two experiments: the final training learned from the validation examples too. "
            "Whether the promise was kept is not known; `--confirm` trains once more under the sweep's own protocol, "
            "with a new seed, and compares that."
        )
    begin = f"Under the sweep's own protocol, with a new seed: {begin[0].lower()}{begin[1:]}"
    if found.margin is None:
        why = "since the number of examples is not" if metric.is_share else "since the metric's error is not"
        return f"{begin}; how much of that is chance is not known, {why}."
    return f"{begin} ({_chance(metric, found)}). {_outcome(metric, found)}"


def _chance(metric: Metric, found: Verdict) -> str:
    assert found.margin is not None
    of = "the examples and the seeds explain" if found.seeds_known else "the examples alone explain"
    text = f"{of} ±{metric.difference(found.margin, digits=1)}"
    if found.optimism:
        text += (
            f", and the best of several promises about {metric.difference(found.optimism, digits=1)} too much"
        )
    return text


def _outcome(metric: Metric, found: Verdict) -> str:
    assert found.margin is not None
    if found.kept is False:
        return "The promise was not kept."
    if found.kept is None:
        return "That is lower than they explain; whether another seed does is not known, since the sweep trained one."
    if metric.better(found.difference) > found.margin:
        return "It did better than promised."
    unseen = metric.difference(found.margin + (found.optimism or 0.0), digits=1)
    return (
        f"The promise was kept, as far as this can tell: a drop of less than {unseen} would not have shown."
    )
