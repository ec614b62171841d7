"""What an exported config says of itself at its top: where it came from, and what is promised of it."""

from __future__ import annotations

from ubn_sweep.landscape.read import SweepView
from ubn_sweep.training.provenance import Provenance


def header_of(sweep: SweepView, origin: Provenance, place: int, on_front: frozenset[int]) -> list[str]:
    """Lines for people. `on_front`: the trials on the front of two objectives; empty with one."""
    if origin.confirmed_by is not None:
        return _of_winner(sweep, origin)
    if origin.promised is None:
        return [
            f"Not finished ({origin.status}), exported because only {origin.candidates} configs finished: trial "
            f"{origin.trial} of the sweep {origin.sweep}.",
            f"It ended after epoch {origin.epoch} of {sweep.max_epochs}: nothing is promised of it.",
        ]
    seeds = "" if origin.seeds == 1 else f", the mean of {origin.seeds} seeds"
    return [
        f"{_which(sweep, origin, place, on_front)} trained to the end: trial {origin.trial} of the sweep "
        f"{origin.sweep},",
        f"{_promises(sweep, origin)} after epoch {origin.epoch} of {sweep.max_epochs}{seeds}.",
    ]


def _of_winner(sweep: SweepView, origin: Provenance) -> list[str]:
    lines = [
        f"The winner of the race {origin.confirmed_by}: trial {origin.trial} of the sweep {origin.sweep},",
        f"{_promises(sweep, origin)} after epoch {origin.epoch}, the mean of {origin.seeds} seeds and splits that "
        "chose nothing.",
    ]
    if origin.forecast is not None:
        metric = sweep.task.metric(origin.metric)
        low, high = metric.text(origin.forecast.low), metric.text(origin.forecast.high)
        lines.append(f"One more such training lies between {low} and {high} in nine cases of ten.")
    return lines


def _which(sweep: SweepView, origin: Provenance, place: int, on_front: frozenset[int]) -> str:
    if sweep.second is None:
        return f"Number {place} of {origin.candidates} configs that were"
    where = (
        f"One of {len(on_front)} configs on the front of"
        if origin.trial in on_front
        else "Behind the front of"
    )
    return f"{where} {sweep.objectives}, of {origin.candidates} that were"


def _promises(sweep: SweepView, origin: Provenance) -> str:
    assert origin.promised is not None
    values = {origin.metric: origin.promised, **origin.also}
    metrics = (sweep.task.metric(name) for name in values)
    return " and ".join(f"{metric.label} {metric.text(values[metric.name])}" for metric in metrics)
