"""The swept numbers, one by one: every trial's value against its score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.epochs import common_epoch, reached

MOST_PLACES = 12


@dataclass(frozen=True, kw_only=True)
class ParameterPoint:
    """One trial in which the parameter was active."""

    trial: int
    value: float
    score: float
    is_finished: bool
    """Whether the trial came to the full budget."""


@dataclass(frozen=True, kw_only=True)
class NumericParameter:
    """One swept number."""

    key: str
    title: str
    low: float
    high: float
    """The range of its axis: the space's, and wider where a trial lies outside."""
    log: bool
    places: tuple[float, ...]
    """The values that there are, the smallest first, where those are few: of an ordered parameter, or whole numbers
    of a short range. Empty for others."""
    full: tuple[ParameterPoint, ...]
    """Finished trials at the full budget."""
    early: tuple[ParameterPoint, ...]
    """All trials that reached the common epoch, at that epoch."""


@dataclass(frozen=True, kw_only=True)
class ParametersView:
    """All numbers that varied, in the space's order, and the epoch of the early scores."""

    early_epoch: int | None
    parameters: tuple[NumericParameter, ...]


def parameters_view(sweep: SweepView) -> ParametersView:
    """The numbers with two values or more; not the threshold nor the task's choices, which have views of their own."""
    epoch = common_epoch(sweep)
    early = [] if epoch is None else [(trial, trial.curve[epoch]) for trial in reached(sweep, epoch)]
    full = [(trial, trial.score) for trial in sweep.finished]
    finished = {trial.number for trial in sweep.finished}
    keys = [
        key
        for key, item in sweep.space.items()
        if key not in (THRESHOLD, *sweep.task.choices) and _is_numeric(item)
    ]
    found = []
    for key, title in sweep.titles(keys).items():
        points = [_points(key, scored, finished) for scored in (full, early)]
        if len({point.value for part in points for point in part}) > 1:
            found.append(_parameter(sweep.space[key], key, title, *points))
    return ParametersView(early_epoch=epoch, parameters=tuple(found))


def _is_numeric(item: dict[str, Any]) -> bool:
    if item.get("type") == "ordered":
        return all(_is_number(value) for value in item.get("values", ()))
    return item.get("type") in ("float", "int")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _points(
    key: str, scored: Iterable[tuple[TrialView, float]], finished: set[int]
) -> tuple[ParameterPoint, ...]:
    return tuple(
        ParameterPoint(
            trial=trial.number,
            value=float(trial.params[key]),
            score=score,
            is_finished=trial.number in finished,
        )
        for trial, score in scored
        if _is_number(trial.params.get(key))
    )


def _parameter(
    item: dict[str, Any],
    key: str,
    title: str,
    full: tuple[ParameterPoint, ...],
    early: tuple[ParameterPoint, ...],
) -> NumericParameter:
    values = {point.value for point in (*full, *early)}
    places = _places(item)
    bounds = places or (item["low"], item["high"])
    low, high = min(*bounds, *values), max(*bounds, *values)
    return NumericParameter(
        key=key,
        title=title,
        low=float(low),
        high=float(high),
        log=bool(item.get("log", False)) and low > 0,
        places=tuple(sorted({*places, *values})) if places else (),
        full=full,
        early=early,
    )


def _places(item: dict[str, Any]) -> tuple[float, ...]:
    if item["type"] == "ordered":
        return tuple(float(value) for value in item["values"])
    if item["type"] == "int" and not item.get("log"):
        values = range(int(item["low"]), int(item["high"]) + 1, int(item.get("step") or 1))
        return tuple(float(value) for value in values) if len(values) <= MOST_PLACES else ()
    return ()
