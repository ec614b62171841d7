"""Did the final training keep what the sweep had promised?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ubn_sweep.landscape.views.numbers import binomial_error, expected_maximum
from ubn_sweep.records.metrics import Metric

Z_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The comparison of a test value with the promise, in the metric's unit, and one sentence about it."""

    test: float
    promised: float
    difference: float
    """Test less promise."""
    standard_error: float | None
    """Of the difference by chance alone; None where a number of images is not known."""
    optimism: float | None
    """The most that picking the best of the candidates adds to the promise; None where their number is unknown."""
    kept: bool | None
    """Whether the test is no lower than chance and optimism explain; None where no error is known."""
    sentence: str


def verdict(
    metric: Metric,
    *,
    test: float,
    promised: float,
    validation_examples: int | None,
    test_examples: int | None,
    candidates: int | None = None,
    repeats_std: float | None = None,
) -> Verdict:
    """Compares the two values of a metric; of shares alone an error is known.

    The standard error of the difference is sqrt(p (1 - p) / n_val + q (1 - q) / n_test), with the spread over the
    repeats, if there were any, added in squares: the final training has one seed. The promise is that of the best
    of k candidates, and the best looks better than it is: were all equally good, by se_val * E[max of k standard
    normals] on average, which is the most that can be expected; with clear differences between them it is less.
    """
    difference = test - promised
    gain = metric.better(difference)
    error, optimism = None, None
    if metric.is_share and validation_examples is not None and test_examples is not None:
        of_promise = binomial_error(promised, validation_examples)
        error = math.hypot(of_promise, binomial_error(test, test_examples), repeats_std or 0.0)
        optimism = of_promise * expected_maximum(candidates) if candidates is not None else None
    kept = None
    if error is not None:
        kept = gain >= -(Z_95 * error + (optimism or 0.0))
    return Verdict(
        test=test,
        promised=promised,
        difference=difference,
        standard_error=error,
        optimism=optimism,
        kept=kept,
        sentence=_sentence(metric, difference, promised, error, optimism, candidates, kept),
    )


def _sentence(
    metric: Metric,
    difference: float,
    promised: float,
    error: float | None,
    optimism: float | None,
    candidates: int | None,
    kept: bool | None,
) -> str:
    side = "above" if difference >= 0 else "below"
    size = metric.difference(abs(difference), digits=1)
    begin = f"The test is {size} {side} the {metric.text(promised, digits=1)} that the sweep promised"
    if error is None:
        why = "since the number of examples is not" if metric.is_share else "since the metric's error is not"
        return f"{begin}; how much of that is chance is not known, {why}."
    chance = f"chance explains ±{100 * Z_95 * error:.1f}"
    if optimism is not None:
        chance += (
            f", and the best of {candidates} trials promises up to {100 * optimism:.1f} too much on average"
        )
    elif metric.better(difference) < 0:
        chance += ", and the best of several trials always promises somewhat too much"
    if metric.better(difference) > Z_95 * error:
        outcome = "it did better than promised"
    elif not kept:
        outcome = "the promise was not kept"
    else:
        outcome = "the promise was kept"
    return f"{begin} ({chance}): {outcome}."
