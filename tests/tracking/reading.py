"""What a store holds of a sweep, read back with MLflow's own client, and what it should hold."""

from __future__ import annotations

import math
from typing import Any

from tests.tracking.builders import SWEEP_ID
from ubn_sweep.records.events import EpochReported, Event, TrialCreated, TrialEnded
from ubn_sweep.tracking.mlflow.client import connect
from ubn_sweep.tracking.mlflow.entries import key, params

STATUS = {"completed": "FINISHED", "stopped": "KILLED", "failed": "FAILED", "diverged": "FAILED"}
Point = tuple[int, int, str]
"""Step, time in milliseconds, value as text: NaN equals itself, and what MLflow keeps for infinity is infinity."""


def all_runs(uri: str, experiment: str = "ubn-sweep", sweep_id: str = SWEEP_ID) -> list[Any]:
    client = connect(uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    return list(
        client.search_runs(
            [found.experiment_id], f"tags.`ubn_sweep.sweep_id` = '{sweep_id}'", max_results=5000
        )
    )


def trial_runs(uri: str, **where: str) -> dict[int, Any]:
    """Trial -> run; fails where a trial has two."""
    runs = [run for run in all_runs(uri, **where) if run.data.tags["ubn_sweep.kind"] == "trial"]
    found = {int(run.data.tags["ubn_sweep.trial"]): run for run in runs}
    assert len(found) == len(runs), "a trial has two runs"
    return found


def parent_run(uri: str, **where: str) -> Any:
    (parent,) = [run for run in all_runs(uri, **where) if run.data.tags["ubn_sweep.kind"] == "sweep"]
    return parent


def history(uri: str, run: Any) -> dict[str, list[Point]]:
    client = connect(uri)
    return {
        name: [_point(item) for item in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def check(uri: str, events: list[Event], **where: str) -> None:
    """That a store holds exactly what the events say: one run a trial, every epoch once, in order."""
    runs = trial_runs(uri, **where)
    parent = parent_run(uri, **where)
    created = {event.trial: event for event in events if isinstance(event, TrialCreated)}
    assert sorted(runs) == sorted(created)
    for event in events:
        if isinstance(event, TrialEnded):
            info, tags = runs[event.trial].info, runs[event.trial].data.tags
            assert (info.status, info.end_time) == (STATUS[event.status], round(event.time_s * 1000))
            assert tags["ubn_sweep.status"] == event.status
    for trial, run in runs.items():
        assert run.data.params == params(created[trial].config)
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.start_time == round(created[trial].time_s * 1000)
        assert history(uri, run) == expected_history(events, trial)


def expected_history(events: list[Event], trial: int) -> dict[str, list[Point]]:
    expected: dict[str, list[Point]] = {}
    for event in events:
        if isinstance(event, EpochReported) and event.trial == trial:
            for name, value in event.metrics.items():
                point = event.epoch, round(event.time_s * 1000), _text(value)
                expected.setdefault(key(name), []).append(point)
    return expected


def _point(item: Any) -> Point:
    return item.step, item.timestamp, _text(item.value)


def _text(value: float) -> str:
    return "inf" if value > 1.7e308 else ("nan" if math.isnan(value) else repr(value))
