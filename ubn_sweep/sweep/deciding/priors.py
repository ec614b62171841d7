"""Known results: finished trials of earlier sweeps, for the sampler to learn from."""

from __future__ import annotations

import time
from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.records.events import (
    EpochReported,
    Event,
    PriorTrial,
    SweepStarted,
    TrialCreated,
    TrialEnded,
)
from ubn_sweep.records.folder import find_sweep
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.spec.space import Space
from ubn_sweep.sweep.spec.spec import ObjectiveConfig, SweepSpec


def learn_from(spec: SweepSpec, home: Path) -> list[PriorTrial]:
    """The trials of `search.learn_from` that are points of this space, with their scores.

    Raises:
        UserError: there is no such sweep, it had another objective, or none of its trials fits this space.
    """
    priors = []
    for name in spec.search.learn_from:
        folder = find_sweep(name, home)
        events = read_journal(folder.path)
        _check_objective(spec, events, name)
        fitting = [
            prior for prior in _trials(events, spec.objective, name) if Space(spec).holds(prior.params)
        ]
        if not fitting:
            raise UserError(
                f"--learn-from: no finished trial of `{name}` is a point of this space: "
                "vary the same keys, in ranges that hold the earlier ones"
            )
        priors += fitting
    return priors


def _check_objective(spec: SweepSpec, events: list[Event], name: str) -> None:
    started = events[0] if events else None
    metric = started.spec["objective"]["metric"] if isinstance(started, SweepStarted) else None
    if metric != spec.objective.metric:
        raise UserError(
            f"--learn-from: `{name}` was judged by {metric}, but this sweep is by {spec.objective.metric}: "
            "set `objective.metric` alike"
        )


def _trials(events: list[Event], objective: ObjectiveConfig, sweep: str) -> list[PriorTrial]:
    created = {event.trial: event for event in events if isinstance(event, TrialCreated)}
    scores: dict[int, dict[int, float]] = {number: {} for number in created}
    for event in events:
        if isinstance(event, EpochReported):
            score = objective.score(event.metrics)
            if score == score:
                scores[event.trial][event.epoch] = score
    return [
        PriorTrial(
            time_s=time.time(),
            sweep=sweep,
            trial=event.trial,
            params=created[event.trial].params,
            values=scores[event.trial],
            status=event.status,
        )
        for event in events
        if isinstance(event, TrialEnded) and event.status != "failed"
    ]
