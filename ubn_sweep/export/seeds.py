"""Several trainings of one config that differ in nothing but their seed: what they come to, and the promise.

The promise is of one training. Each of several is held against the range of one; that any of n falls below is n times
as likely, so that the one verdict over all of them is corrected for n (Bonferroni).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from ubn_sweep.landscape.views.numbers import CONFIDENCE, binomial_error
from ubn_sweep.records.metrics import Metric
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.seeds import derive_seed

SEED_LIMIT = 2**31


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Values of one metric, over the seeds whose trainings came to an end."""

    n: int
    diverged: int
    mean: float | None
    """None where all diverged."""
    spread: float | None
    """Sample standard deviation; None for fewer than two."""
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SeedsVerdict:
    """Several trainings under the sweep's own protocol against its promise, in the metric's unit."""

    n: int
    promised: float
    mean: float | None
    spread: float | None
    difference: float | None
    """Mean less promise."""
    margin: float | None
    """What chance explains of one training in 95 of 100 cases, of the lowest one; None where it is not known."""
    below: int
    """How many lie further below than that and what picking the best adds; those that diverged are among them."""
    margin_of_all: float | None
    """The same, so that in 95 of 100 families of n trainings none lies outside."""
    optimism: float | None
    kept: bool | None
    """Whether none lies below that. None where no margin is known, where another seed might explain it, and where the
    trainings are another experiment."""
    sentence: str


def seeds_of(config: Any, count: int) -> list[int]:
    """The config's own, then others that follow from it: more of them later begin with the same."""
    others = [derive_seed(config.seed, f"final training {n}") % SEED_LIMIT for n in range(1, count)]
    return [config.seed, *others]


def summary_of(values: Sequence[float], *, diverged: int = 0) -> Summary:
    """Mean and spread of what did not diverge."""
    return Summary(
        n=len(values),
        diverged=diverged,
        mean=statistics.fmean(values) if values else None,
        spread=statistics.stdev(values) if len(values) > 1 else None,
        values=tuple(values),
    )


def seeds_verdict(
    metric: Metric, summary: Summary, *, origin: Provenance, examples: int | None, repeats: int = 1
) -> SeedsVerdict:
    """The verdict over trainings under the sweep's own protocol; `origin` must promise something.

    Args:
        summary: of their tests, on the same examples.
        examples: how many those are.
        repeats: over how many seeds each test is a mean.
    """
    assert origin.promised is not None
    count, optimism = summary.n + summary.diverged, origin.optimism or 0.0
    one = [_margin(metric, summary, place, origin, examples, repeats, looks=1) for place in range(summary.n)]
    all_ = [
        _margin(metric, summary, place, origin, examples, repeats, looks=count) for place in range(summary.n)
    ]
    differences = [metric.better(value - origin.promised) for value in summary.values]
    lowest = min(range(summary.n), key=differences.__getitem__, default=None)
    found = SeedsVerdict(
        n=count,
        promised=origin.promised,
        mean=summary.mean,
        spread=summary.spread,
        difference=None if summary.mean is None else summary.mean - origin.promised,
        margin=None if lowest is None else one[lowest],
        below=summary.diverged + len(_below(differences, one, optimism)),
        margin_of_all=None if lowest is None else all_[lowest],
        optimism=origin.optimism,
        kept=False if summary.diverged else _kept(summary, origin, differences, all_),
        sentence="",
    )
    return SeedsVerdict(**{**vars(found), "sentence": _sentence(metric, found, summary)})


def other_experiment(metric: Metric, summary: Summary, origin: Provenance) -> SeedsVerdict:
    """Of final trainings, which learned from the validation examples too: nothing is claimed."""
    assert origin.promised is not None
    difference = None if summary.mean is None else summary.mean - origin.promised
    told = "" if difference is None else f"{_distance(metric, difference, origin.promised)}. "
    return SeedsVerdict(
        n=summary.n + summary.diverged,
        promised=origin.promised,
        mean=summary.mean,
        spread=summary.spread,
        difference=difference,
        margin=None,
        below=summary.diverged,
        margin_of_all=None,
        optimism=origin.optimism,
        kept=None,
        sentence=f"{told}These are two experiments: the final trainings learned from the validation examples too. "
        "Whether the promise was kept is not known; `--confirm` trains each once more under the sweep's own "
        "protocol, with a new seed, and compares those.",
    )


def _below(differences: Sequence[float], margins: Sequence[float | None], optimism: float) -> list[int]:
    """The places of those that lie further below than their margin and what picking the best adds."""
    return [
        place
        for place, (value, margin) in enumerate(zip(differences, margins, strict=True))
        if margin is not None and value < -(margin + optimism)
    ]


def _kept(
    summary: Summary, origin: Provenance, differences: Sequence[float], margins: Sequence[float | None]
) -> bool | None:
    if any(margin is None for margin in margins):
        return None
    low = _below(differences, margins, origin.optimism or 0.0)
    if not low:
        return True
    # Without the seeds' spread a low one may be another seed's doing.
    return False if any(_spread_without(summary, place, origin, 1)[1] > 0 for place in low) else None


def _margin(
    metric: Metric,
    summary: Summary,
    place: int,
    origin: Provenance,
    examples: int | None,
    repeats: int,
    *,
    looks: int,
) -> float | None:
    """Student's quantile times the error of promise less test, as `export.verdict` has it, for the training at a place.
    The seeds' spread is that of the sweep's and of the other trainings: its own value would hide itself."""
    assert origin.promised is not None
    if not metric.is_share or examples is None or origin.validation_examples is None:
        return None
    spread, freedom = _spread_without(summary, place, origin, repeats)
    images = binomial_error(summary.values[place], examples) ** 2
    if origin.forecast is not None and origin.forecast.replicated:  # it states the error of what it promises
        seeds = spread**2 / repeats + origin.forecast.mean_error**2
    else:
        images += binomial_error(origin.promised, origin.validation_examples) ** 2
        seeds = spread**2 * (1 / origin.seeds + 1 / repeats)
    # Welch's formula: what is known of the images' part needs no degrees of freedom.
    welch = freedom * ((images + seeds) / seeds) ** 2 if seeds > 0 else math.inf
    quantile = float(stats.t.ppf(1 - (1 - CONFIDENCE) / 2 / looks, welch))
    return quantile * math.sqrt(images + seeds)


def _spread_without(summary: Summary, place: int, origin: Provenance, repeats: int) -> tuple[float, float]:
    """The standard deviation over single seeds, of the sweep's and of all trainings but one, and its degrees of
    freedom: 0 where neither has two."""
    parts: list[tuple[float, float]] = []
    forecast = origin.forecast
    if forecast is not None and forecast.replicated and forecast.freedom is not None:
        parts.append((forecast.std**2 * repeats, forecast.freedom))
    elif origin.spread is not None and origin.seeds > 1:
        parts.append((origin.spread**2, origin.seeds - 1))
    others = [value for other, value in enumerate(summary.values) if other != place]
    if len(others) > 1:
        parts.append((statistics.variance(others) * repeats, len(others) - 1))
    freedom = sum(own for _, own in parts)
    return (math.sqrt(sum(v * own for v, own in parts) / freedom) if parts else 0.0), freedom


def _sentence(metric: Metric, found: SeedsVerdict, summary: Summary) -> str:
    begin = f"{found.n} trainings under the sweep's own protocol, with new seeds: "
    if found.mean is None or found.difference is None:
        return f"{begin}all diverged. The promise was not kept."
    apart = "" if found.spread is None else f" (standard deviation {metric.difference(found.spread)})"
    begin += (
        f"{metric.text(found.mean)} on average{apart}, {_distance(metric, found.difference, found.promised)}"
    )
    if summary.diverged:
        return f"{begin}; {summary.diverged} diverged. The promise was not kept."
    if found.margin is None or found.margin_of_all is None:
        return f"{begin}. How much of that is chance is not known."
    added = f" and the {metric.difference(found.optimism, digits=1)} of picking" if found.optimism else ""
    one = (
        f"{begin}. One training may lie {metric.difference(found.margin, digits=1)}{added} below by chance: "
        f"{found.below or 'none'} of {found.n} lie{'s' if found.below == 1 else ''} further."
    )
    unseen = metric.difference(found.margin_of_all + (found.optimism or 0.0), digits=1)
    if found.kept:
        return (
            f"{one} The promise was kept, as far as this can tell: corrected for {found.n} trainings, a drop of less "
            f"than {unseen} would not have shown."
        )
    if found.kept is None:
        return (
            f"{one} Corrected for {found.n} trainings the examples alone explain {unseen}: whether the seeds explain "
            "the rest is not known, with so few."
        )
    return f"{one} Corrected for {found.n} trainings the bound is {unseen}: the promise was not kept."


def _distance(metric: Metric, difference: float, promised: float) -> str:
    side = "above" if difference >= 0 else "below"
    size = metric.difference(abs(difference), digits=1)
    return f"{size} {side} the {metric.text(promised, digits=1)} that the sweep promised"
