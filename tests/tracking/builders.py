"""Sweeps as records, made up by a rule: what a real one would have written into its journal."""

from __future__ import annotations

import math
import random
from pathlib import Path

from ubn_sweep.records.events import (
    AttemptStarted,
    EpochReported,
    Event,
    PriorTrial,
    SweepEnded,
    SweepStarted,
    TrialCreated,
    TrialEnded,
)
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal
from ubn_sweep.tracking.delivery.sync import SyncResult, sync
from ubn_sweep.tracking.mlflow.client import DEFAULT_EXPERIMENT
from ubn_sweep.tracking.mlflow.sweep_sink import SweepSink

START_S = 1_760_000_000.25
SWEEP_ID = "0123456789abcdef0123456789abcdef"
MAX_EPOCHS = 4
SPEC = {
    "name": "small",
    "description": "made up",
    "trainable": "tests.support.trainables:train",
    "base": {
        "dataset": {"name": "digits", "root": None},
        "norm": {"name": "ubn", "gate": True, "threshold": 0.15, "scaling": "representative"},
        "training": {"epochs": MAX_EPOCHS, "batch_size": 64},
        "seed": 0,
    },
    "space": {"norm.gate": {"type": "choice", "values": [True, False]}},
    "objective": {"metric": "val_top1", "mode": "max"},
    "search": {"trials": 8, "sampler": "auto", "seed": 0},
}
ENVIRONMENT = {
    "ubn_sweep": "0.1.0",
    "python": "3.11.0",
    "system": "Linux x86_64",
    "cpus": 2,
    "versions": {"torch": "2.8.0", "ray": "2.60.0"},
    "git_revision": "a" * 40,
}
STATUS_OF = ("completed", "stopped", "failed", "diverged")


def started(sweep_id: str = SWEEP_ID, name: str = "small") -> SweepStarted:
    return SweepStarted(
        time_s=START_S, sweep_id=sweep_id, name=name, spec={**SPEC, "name": name}, environment=ENVIRONMENT
    )


def created(trial: int, time_s: float = START_S) -> TrialCreated:
    """The gate opens for even trials; only they have a threshold. Every third has no scaling."""
    gate, scaling = trial % 2 == 0, None if trial % 3 == 0 else "representative"
    params = {"norm.gate": gate, "norm.scaling": scaling, "training.batch_size": 32 * (1 + trial % 2)}
    if gate:
        params["norm.threshold"] = round(0.05 * (trial % 10), 6)
    norm = {"name": "ubn", "gate": gate, "threshold": params.get("norm.threshold"), "scaling": scaling}
    config = {
        "dataset": {"name": "digits", "root": None},
        "norm": norm,
        "optimizer": {"lr": 0.1, "step_epochs": []},
        "training": {"epochs": MAX_EPOCHS, "batch_size": params["training.batch_size"]},
        "seed": trial,
        "provenance": None,
    }
    origin = "warm start: paper" if trial == 0 else "random"
    return TrialCreated(time_s=time_s, trial=trial, params=params, config=config, origin=origin)


def metrics(trial: int, epoch: int, extra: int = 0) -> dict[str, float]:
    value = 1 - 1 / (1 + epoch + trial % 7)
    found = {"val_top1": value, "val_loss": 1 - value, "lr": 0.1 / epoch, "similarity/stem": 0.5 / epoch}
    return found | {f"gate_open/{layer}": layer / (1 + epoch) for layer in range(extra)}


def trial_events(trial: int, *, extra: int = 0) -> list[Event]:
    """One trial: status by its number; failed ones report nothing, diverged ones a NaN."""
    status = STATUS_OF[trial % 4]
    last = {"completed": MAX_EPOCHS, "stopped": 2, "failed": 0, "diverged": 1}[status]
    begin_s = START_S + 1 + trial
    events: list[Event] = [created(trial, begin_s)]
    for epoch in range(1, last + 1):
        found = metrics(trial, epoch, extra)
        if status == "diverged":
            found |= {"val_top1": math.nan, "val_loss": math.inf}
        events.append(EpochReported(time_s=begin_s + epoch / 8, trial=trial, epoch=epoch, metrics=found))
    reason = "" if status == "completed" else f"made up: {status}"
    end_s = begin_s + (last + 1) / 8
    events.append(TrialEnded(time_s=end_s, trial=trial, status=status, epoch=last, reason=reason))  # type: ignore[arg-type]
    return events


def sweep_events(
    trials: int, *, extra: int = 0, seed: int = 0, first: SweepStarted | None = None
) -> list[Event]:
    """A whole sweep, the trials interleaved as if several ran at once."""
    generator = random.Random(seed)
    waiting = [trial_events(trial, extra=extra) for trial in range(trials)]
    prior = PriorTrial(
        time_s=START_S, sweep="earlier", trial=0, params={}, values={1: 0.5}, status="completed"
    )
    events: list[Event] = [first or started(), prior, AttemptStarted(time_s=START_S, attempt=1)]
    running: list[list[Event]] = []
    while waiting or running:
        while waiting and len(running) < 4:
            running.append(waiting.pop(0))
            events.append(running[-1].pop(0))
        mine = generator.choice(running)
        events.append(mine.pop(0))
        running = [rest for rest in running if rest]
    events.append(SweepEnded(time_s=START_S + trials + 10))
    return events


def write_journal(folder: Path, events: list[Event]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with Journal(folder) as journal:
        for event in events:
            journal.append(event)


def sync_sweep(
    folder: SweepFolder,
    uri: str | None = None,
    *,
    experiment: str = DEFAULT_EXPERIMENT,
    from_start: bool = False,
) -> tuple[SyncResult, SweepSink]:
    """As `ubn-sweep sync` does it: a sweep into MLflow, with its results."""
    sink = SweepSink(folder, uri if uri is not None else folder.default_tracking_uri, experiment)
    return sync(folder, sink, paths=folder.results, from_start=from_start), sink
