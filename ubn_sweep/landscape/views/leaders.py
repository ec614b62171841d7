"""What the best trials have in common that asks for another sweep: the edge of a range, a gate that never closed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy import stats

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.ranking import ranked

MIN_FINISHED = 8
MIN_LEADERS = 5
TOP_SHARE = 0.25
EDGE = 0.05
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
    """Of as many by values drawn evenly from the range, times the number of ends looked at."""


@dataclass(frozen=True, kw_only=True)
class LeadersView:
    """Of the best quarter of the finished trials, five or more; empty where fewer than eight finished."""

    trials: tuple[int, ...]
    edges: tuple[Edge, ...]
    with_gate: int
    """How many have a gate that told how often it was open."""
    never_closed: int
    """In how many of these it was open in every batch of the last epoch."""


def leaders_view(sweep: SweepView) -> LeadersView:
    """Values that cluster at an end by more than chance, all ends looked at together."""
    count = len(sweep.finished)
    if count < MIN_FINISHED:
        return LeadersView(trials=(), edges=(), with_gate=0, never_closed=0)
    leaders = ranked(sweep)[: max(MIN_LEADERS, math.ceil(TOP_SHARE * count))]
    keys = [key for key, item in sweep.space.items() if _shares(item) is not None]
    titles = sweep.titles(keys)
    found = [_edge(sweep, leaders, key, titles[key], upper) for key in keys for upper in (False, True)]
    looks = 2 * len(keys)
    told = [edge for edge in found if edge is not None and looks * edge.p_value <= SIGNIFICANCE]
    gates = [trial.metrics[GATE_OPEN] for trial in leaders if GATE_OPEN in trial.metrics]
    return LeadersView(
        trials=tuple(trial.number for trial in leaders),
        edges=tuple(_corrected(edge, looks) for edge in told),
        with_gate=len(gates),
        never_closed=sum(share >= ALWAYS for share in gates),
    )


def _corrected(edge: Edge, looks: int) -> Edge:
    return Edge(**{**vars(edge), "p_value": min(1.0, looks * edge.p_value)})


def _edge(sweep: SweepView, leaders: list[TrialView], key: str, title: str, upper: bool) -> Edge | None:
    item = sweep.space[key]
    share = _shares(item)
    values = [float(trial.params[key]) for trial in leaders if _is_number(trial.params.get(key))]
    if share is None or not values:
        return None
    bound = _bounds(item)[upper]
    inside = sum(_is_at_edge(item, value, upper) for value in values)
    return Edge(
        key=key,
        title=title,
        upper=upper,
        bound=bound,
        has_values=item["type"] == "ordered",
        at_edge=inside,
        n=len(values),
        p_value=float(stats.binom.sf(inside - 1, len(values), share)),
    )


def _is_at_edge(item: dict[str, Any], value: float, upper: bool) -> bool:
    low, high = _bounds(item)
    if item["type"] == "ordered":
        return value == (high if upper else low)
    if item.get("log"):
        low, high, value = math.log(low), math.log(high), math.log(value)
    place = (value - low) / (high - low)
    return place >= 1 - EDGE if upper else place <= EDGE


def _shares(item: dict[str, Any]) -> float | None:
    """How much of a range, evenly drawn from, an edge is; None for what has no ends, or but one value."""
    if item.get("type") == "ordered":
        values = item.get("values", ())
        return 1 / len(values) if len(values) > 1 and all(_is_number(value) for value in values) else None
    if item.get("type") not in ("float", "int") or not item["low"] < item["high"]:
        return None
    step = item.get("step") or (1 if item["type"] == "int" and not item.get("log") else None)
    if step is None:
        return EDGE
    places = math.floor((item["high"] - item["low"]) / step + 1e-9) + 1
    return (1 + math.floor(EDGE * (places - 1) + 1e-9)) / places


def _bounds(item: dict[str, Any]) -> tuple[float, float]:
    if item["type"] == "ordered":
        return min(item["values"]), max(item["values"])
    return float(item["low"]), float(item["high"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
