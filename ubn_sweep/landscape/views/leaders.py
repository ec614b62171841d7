"""What the best trials have in common that asks for another sweep: the edge of a range, a gate that never closed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy import stats

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.epochs import common_epoch, reached
from ubn_sweep.landscape.views.ranking import ranked

MIN_FINISHED = 8
MIN_LEADERS = 5
TOP_SHARE = 0.1
EDGE = 0.1
"""Share of a range, at each end, that counts as its edge."""
SIGNIFICANCE = 0.05
ALWAYS = 1 - 1e-9
GATE_OPEN = "gate_open"


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A parameter whose best values lie at one end of its range."""

    key: str
    title: str
    upper: bool
    bound: float
    has_values: bool
    """Whether its values are listed one by one, rather than a range."""
    at_edge: int
    n: int
    """Of the leaders in which it was active."""
    p_value: float
    """Of scores that rise towards it as much by chance, times the number of parameters looked at."""


@dataclass(frozen=True, kw_only=True)
class LeadersView:
    """Of the best tenth of the finished trials, five or more; empty where fewer than eight finished."""

    trials: tuple[int, ...]
    edges: tuple[Edge, ...]
    with_gate: int
    """How many have a gate that told how often it was open."""
    never_closed: int
    """In how many of these it was open in every batch of the last epoch."""


def leaders_view(sweep: SweepView) -> LeadersView:
    """An edge is told where half of the leaders or more lie there, and scores rise towards it over all trials.

    The second takes all trials at one epoch, so that a sampler that likes edges does not make one: a value's rank and
    the score's are correlated, by Spearman's test with Bonferroni's correction for the parameters looked at. Of a map
    none is told.
    """
    count = len(sweep.candidates)
    if count < MIN_FINISHED:
        return LeadersView(trials=(), edges=(), with_gate=0, never_closed=0)
    leaders = ranked(sweep)[: max(MIN_LEADERS, math.ceil(TOP_SHARE * count))]
    keys = [key for key, item in sweep.space.items() if _has_ends(item)]
    titles = sweep.titles(keys)
    # A map's trials are asked for by what is known of scores, value by value: their trends are no test of anything.
    found = [] if sweep.is_map else [_edge(sweep, leaders, key, titles[key], looks=len(keys)) for key in keys]
    gates = [trial.metrics[GATE_OPEN] for trial in leaders if GATE_OPEN in trial.metrics]
    return LeadersView(
        trials=tuple(trial.number for trial in leaders),
        edges=tuple(edge for edge in found if edge is not None),
        with_gate=len(gates),
        never_closed=sum(share >= ALWAYS for share in gates),
    )


def _edge(sweep: SweepView, leaders: list[TrialView], key: str, title: str, *, looks: int) -> Edge | None:
    """The end towards which scores rise; None where they do not, or the best lie elsewhere."""
    rho, p_value = _trend(sweep, key)
    upper, item = rho > 0, sweep.space[key]
    values = [float(trial.params[key]) for trial in leaders if _is_number(trial.params.get(key))]
    inside = sum(_is_at_edge(item, value, upper) for value in values)
    if looks * p_value > SIGNIFICANCE or inside < 2 or 2 * inside < len(values):
        return None
    return Edge(
        key=key,
        title=title,
        upper=upper,
        bound=_bounds(item)[upper],
        has_values=item["type"] == "ordered",
        at_edge=inside,
        n=len(values),
        p_value=min(1.0, looks * p_value),
    )


def _trend(sweep: SweepView, key: str) -> tuple[float, float]:
    """Spearman's correlation of a parameter with the score, better being more, and its two-sided p-value."""
    epoch = common_epoch(sweep)
    at = sweep.max_epochs if epoch is None else epoch
    pairs = [
        (float(trial.params[key]), sweep.metric.better(trial.curve[at]))
        for trial in (sweep.finished if epoch is None else reached(sweep, epoch))
        if _is_number(trial.params.get(key))
    ]
    values, scores = zip(*pairs, strict=True) if pairs else ((), ())
    if len(pairs) < MIN_FINISHED or len(set(values)) < 2 or len(set(scores)) < 2:
        return 0.0, 1.0
    found = stats.spearmanr(values, scores)
    return float(found.statistic), float(found.pvalue)


def _is_at_edge(item: dict[str, Any], value: float, upper: bool) -> bool:
    low, high = _bounds(item)
    if item["type"] == "ordered":
        return value == (high if upper else low)
    if item.get("log"):
        low, high, value = math.log(low), math.log(high), math.log(value)
    place = (value - low) / (high - low)
    return place >= 1 - EDGE if upper else place <= EDGE


def _has_ends(item: dict[str, Any]) -> bool:
    if item.get("type") == "ordered":
        values = item.get("values", ())
        return len(values) > 1 and all(_is_number(value) for value in values)
    return item.get("type") in ("float", "int") and bool(item["low"] < item["high"])


def _bounds(item: dict[str, Any]) -> tuple[float, float]:
    if item["type"] == "ordered":
        return min(item["values"]), max(item["values"])
    return float(item["low"]), float(item["high"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
