"""Did the final training keep what the sweep had promised?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ubn_sweep.landscape.views.numbers import binomial_error, expected_maximum

Z_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The comparison of a test accuracy with the promise, and one sentence about it. Shares, 0 to 1."""

    test_top1: float
    promised_val_top1: float
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
    *,
    test_top1: float,
    promised_val_top1: float,
    validation_examples: int | None,
    test_examples: int | None,
    candidates: int | None = None,
    repeats_std: float | None = None,
) -> Verdict:
    """Compares the two accuracies.

    The standard error of the difference is sqrt(p (1 - p) / n_val + q (1 - q) / n_test), with the spread over the
    repeats, if there were any, added in squares: the final training has one seed. The promise is that of the best
    of k candidates, and the best looks better than it is: were all equally good, by se_val * E[max of k standard
    normals] on average, which is the most that can be expected; with clear differences between them it is less.
    """
    difference = test_top1 - promised_val_top1
    error, optimism = None, None
    if validation_examples is not None and test_examples is not None:
        of_promise = binomial_error(promised_val_top1, validation_examples)
        error = math.hypot(of_promise, binomial_error(test_top1, test_examples), repeats_std or 0.0)
        optimism = of_promise * expected_maximum(candidates) if candidates is not None else None
    kept = None
    if error is not None:
        kept = difference >= -(Z_95 * error + (optimism or 0.0))
    return Verdict(
        test_top1=test_top1,
        promised_val_top1=promised_val_top1,
        difference=difference,
        standard_error=error,
        optimism=optimism,
        kept=kept,
        sentence=_sentence(difference, promised_val_top1, error, optimism, candidates, kept),
    )


def _sentence(
    difference: float,
    promised: float,
    error: float | None,
    optimism: float | None,
    candidates: int | None,
    kept: bool | None,
) -> str:
    side = "above" if difference >= 0 else "below"
    begin = (
        f"The test is {100 * abs(difference):.1f} points {side} the {promised:.1%} that the sweep promised"
    )
    if error is None:
        return f"{begin}; how much of that is chance is not known, since the number of images is not."
    chance = f"chance explains ±{100 * Z_95 * error:.1f}"
    if optimism is not None:
        chance += (
            f", and the best of {candidates} trials promises up to {100 * optimism:.1f} too much on average"
        )
    elif difference < 0:
        chance += ", and the best of several trials always promises somewhat too much"
    if difference > Z_95 * error:
        outcome = "it did better than promised"
    elif not kept:
        outcome = "the promise was not kept"
    else:
        outcome = "the promise was kept"
    return f"{begin} ({chance}): {outcome}."
