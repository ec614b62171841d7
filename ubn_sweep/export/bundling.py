"""From a sweep's journal to what a bundle says of one of its configs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.export.bundle import Bundle, Curve, Parents, files_of
from ubn_sweep.export.candidates import Candidate
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.records.events import (
    AttemptStarted,
    EpochReported,
    Event,
    PriorTrial,
    SweepStarted,
    TrialRetried,
)
from ubn_sweep.records.trials import TrialRecord, Trials
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.task import Task

ELSEWHERE = (
    "task", "task_folder", "sweep", "sweep_id", "trial", "run_id", "tracking_uri", "git_revision", "workers", "changed",
)  # fmt: skip
"""Of a Provenance: said elsewhere in the bundle, or true in one place alone."""


@dataclass(kw_only=True)
class History:
    """What the trials' records alone do not tell: which versions each epoch ran with, which settings were changed."""

    environments: dict[int, list[str]] = field(default_factory=dict)
    """Trial -> those of its epochs, as JSON, each once, in order."""
    changed_after: dict[int, int] = field(default_factory=dict)
    """Trial -> the last epoch that other settings than its config's had a part in."""
    learned_from: tuple[str, ...] = ()


def history_of(events: Iterable[Event]) -> History:
    """The fold of a sweep's events."""
    found, now, last = History(), "{}", dict[int, int]()
    learned: dict[str, None] = {}
    for event in events:
        if isinstance(event, SweepStarted | AttemptStarted) and event.environment:
            # The data was looked at once, when the sweep began: it is none of the versions.
            now = json.dumps({key: value for key, value in event.environment.items() if key != "data"})
        elif isinstance(event, PriorTrial):
            learned[event.sweep] = None
        elif isinstance(event, EpochReported):
            last[event.trial] = max(event.epoch, last.get(event.trial, 0))
            kinds = found.environments.setdefault(event.trial, [])
            if now not in kinds:
                kinds.append(now)
        elif isinstance(event, TrialRetried):
            stands = last.get(event.trial, 0) if event.epoch is None else event.epoch
            last[event.trial] = stands
            if stands == 0:
                found.environments.pop(event.trial, None)
                found.changed_after.pop(event.trial, None)
            elif event.changes:
                found.changed_after[event.trial] = stands
    found.learned_from = tuple(learned)
    return found


def bundle_files(
    sweep: SweepView,
    candidate: Candidate,
    *,
    task: Task,
    config: Any,
    origin: Provenance,
    text: str,
    trials: Trials,
    history: History,
    threads: int | None,
    name: str,
) -> dict[str, str]:
    """File name -> text, of the bundle of one config.

    Args:
        config: of the task's class.
        text: that of the config's file.
        threads: of each of the trial's workers.
        name: of the bundle's folder, for the commands.
    """
    numbers = tuple(trial.number for trial in candidate.trials)
    curves = [_curve(sweep, task, trials[number], history) for number in numbers]
    curves.sort(key=lambda curve: (curve.trial != origin.trial, curve.trial))
    kinds = [json.loads(text) for text in history.environments.get(origin.trial, ["{}"])]
    environment = kinds[0]
    promise = {key: value for key, value in schema.to_plain(origin).items() if key not in ELSEWHERE}
    bundle = Bundle(
        task=task.name,
        parents=Parents(
            sweep=sweep.name,
            sweep_id=sweep.sweep_id,
            trial=origin.trial,
            trials=tuple(sorted(numbers)),
            learned_from=history.learned_from,
            run_id=origin.run_id,
            tracking_uri=origin.tracking_uri,
        ),
        promise=promise,
        git_revision=environment.get("git_revision"),
        pins=_pins(environment),
        mixed_versions=len(kinds) > 1,
        system=environment.get("system"),
        cpus=environment.get("cpus"),
        data=_data(task, config, trials.started.environment),
        seeds=tuple(
            sorted(curve.seed + repeat for curve in curves for repeat in range(curve.repeats))
        ),
        workers=origin.workers,
        threads=threads,
        commands=_commands(sweep, name),
        files={},
    )  # fmt: skip
    content = {key: value for key, value in asdict(bundle).items() if key != "files"}
    return files_of(content, config=text, curves=[asdict(curve) for curve in curves], spec=trials.spec)


def _curve(sweep: SweepView, task: Task, trial: TrialRecord, history: History) -> Curve:
    metrics = (*task.metrics, *task.told)
    wanted = {*(metric.name for metric in metrics), *(metric.spread for metric in metrics)}
    return Curve(
        trial=trial.number,
        seed=int(trial.created.config.get("seed", 0)),
        repeats=sweep.repeats,
        changed_after=history.changed_after.get(trial.number),
        epochs={
            epoch: {
                name: value for name, value in trial.epochs[epoch].metrics.items() if name in wanted
            }
            for epoch in sorted(trial.epochs)
        },
    )  # fmt: skip


def _pins(environment: Mapping[str, Any]) -> dict[str, str]:
    own = {"python": environment.get("python"), "ubn-sweep": environment.get("ubn_sweep")}
    found = {**own, **environment.get("versions", {})}
    return {name: str(text) for name, text in found.items() if text is not None}


def _data(task: Task, config: Any, environment: Mapping[str, Any]) -> str | None:
    """As the sweep recorded it when it began; of an older one, as it is here now."""
    recorded: str | None = environment.get("data")
    if recorded is not None:
        return recorded
    try:
        return task.fingerprint(config)
    except (UserError, OSError):  # it lies elsewhere
        return None


def _commands(sweep: SweepView, name: str) -> dict[str, str]:
    return {
        "train": f"ubn-sweep train {name}",
        "verify": f"ubn-sweep verify {name}",
        "export": f"ubn-sweep export {sweep.name}",
    }
