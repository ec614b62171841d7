"""A running sweep as numbers for those who watch machines: names, labels and values, as Prometheus has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ubn_sweep.records.events import STATUSES
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.outlook import Outlook

STATES = ("planned", "running", "waiting", *STATUSES)
"""Of trials: not made yet; handed out, or to be; at a rung until they are promoted; and how they ended."""


class Gauge(NamedTuple):
    """A number that goes up and down."""

    text: str
    """What it is, with its unit."""
    labels: tuple[str, ...]


GAUGES = {
    "ubn_sweep_trials": Gauge("Trials of a sweep by their state.", ("sweep", "state")),
    "ubn_sweep_epochs_spent": Gauge("Epochs that all trials have trained so far.", ("sweep",)),
    "ubn_sweep_epochs_forecast": Gauge("Epochs that the whole sweep will have taken.", ("sweep",)),
    "ubn_sweep_epochs_per_second": Gauge("Since the sweep's process began.", ("sweep",)),
    "ubn_sweep_left_seconds": Gauge("How long the sweep will still take.", ("sweep",)),
    "ubn_sweep_best": Gauge("The objective of the best trial, as its task reports it.", ("sweep", "metric")),
    "ubn_sweep_records_waiting": Gauge(
        "Records of the journal that a store does not hold yet.", ("sweep", "store")
    ),
}


class Sample(NamedTuple):
    """One value of a gauge."""

    name: str
    labels: dict[str, str]
    value: float


def samples_of(state: SweepState, outlook: Outlook, lags: Mapping[str, int]) -> list[Sample]:
    """What is known now: what is not, as the best before a trial has one, has no sample.

    Args:
        lags: store -> records that wait.
    """
    sweep = {"sweep": state.spec.name}
    numbers: dict[str, float | None] = {
        "ubn_sweep_epochs_spent": outlook.epochs_done,
        "ubn_sweep_epochs_forecast": outlook.epochs_done + outlook.left_epochs,
        "ubn_sweep_epochs_per_second": outlook.epochs_per_s,
        "ubn_sweep_left_seconds": outlook.left_s,
    }
    found = [
        *(
            Sample("ubn_sweep_trials", {**sweep, "state": name}, count)
            for name, count in _by_state(state, outlook).items()
        ),
        *(Sample(name, sweep, value) for name, value in numbers.items() if value is not None),
        *(Sample("ubn_sweep_records_waiting", {**sweep, "store": store}, lag) for store, lag in lags.items()),
    ]
    if outlook.best is not None:
        metric = state.spec.objective.metric
        found.append(Sample("ubn_sweep_best", {**sweep, "metric": metric}, outlook.best.value))
    return found


def _by_state(state: SweepState, outlook: Outlook) -> dict[str, int]:
    """State -> trials, in the order of STATES; together they are `outlook.total`."""
    waiting, running = len(state.waiting), len(outlook.running)
    planned = outlook.total - outlook.ended - waiting - running
    return dict(
        zip(STATES, (planned, running, waiting, *(outlook.counts[name] for name in STATUSES)), strict=True)
    )
