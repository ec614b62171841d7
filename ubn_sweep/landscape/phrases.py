"""Numbers as sentences write them."""

from __future__ import annotations

from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.numbers import Difference
from ubn_sweep.landscape.views.ranking import RankedTrial


def score_text(sweep: SweepView, row: RankedTrial) -> str:
    """`93.21% ± 1.30`; without an error where none is known."""
    text = sweep.metric.text(row.trial.last_score)
    return text if row.error is None else f"{text} ± {bare(sweep, row.error)}"


def amount(sweep: SweepView, value: float) -> str:
    """A difference: in points where scores are shares."""
    return sweep.metric.difference(value)


def bare(sweep: SweepView, value: float) -> str:
    """The same without the word `points`, where what stands beside it has the unit."""
    return amount(sweep, value).removesuffix(" points")


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def interval(sweep: SweepView, found: Difference) -> str:
    """`1.20 to 5.66 points better`; where both sides are possible, `0.30 worse to 5.66 points better`."""
    low, high = found.low, found.high
    if low > 0:
        return f"{bare(sweep, low)} to {amount(sweep, high)} better"
    if high < 0:
        return f"{bare(sweep, -high)} to {amount(sweep, -low)} worse"
    return f"{bare(sweep, -low)} worse to {amount(sweep, high)} better"
