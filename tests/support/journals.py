"""Sweeps made up from a known truth, as the events that a real one would have written."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ubn_sweep import schema
from ubn_sweep.records.events import EpochReported, Event, SweepEnded, SweepStarted, TrialCreated, TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal
from ubn_sweep.training.classification.config import ClassificationConfig, ImageTrainingConfig
from ubn_sweep.training.config import NormConfig, TrainingConfig
from ubn_sweep.training.data.config import DatasetConfig

START_S = 1_760_000_000.0
LAYERS = (
    "stem",
    "stage1.norm1",
    "stage1.norm2",
    "stage2.norm1",
    "stage2.norm2",
    "stage3.norm1",
    "stage3.norm2",
)
GATED = {"norm.gate": True}
SPACE: dict[str, dict[str, Any]] = {
    "norm.gate": {"type": "choice", "values": [True, False], "when": {}},
    "norm.threshold": {"type": "float", "low": 0.0, "high": 0.8, "log": False, "step": None, "when": GATED},
    "norm.similarity_momentum": {"type": "float", "low": 0.01, "high": 1.0, "log": True, "when": GATED},
    "norm.momentum": {"type": "float", "low": 0.01, "high": 0.5, "log": True, "step": None, "when": {}},
    "norm.centering": {"type": "choice", "values": [True, False], "when": {}},
    "norm.scaling": {"type": "choice", "values": ["representative", "instance", None], "when": {}},
    "norm.affine": {"type": "choice", "values": ["depthwise", "pointwise"], "when": {}},
    "norm.kernel_size": {"type": "ordered", "values": [3, 5], "when": {"norm.affine": "depthwise"}},
    "training.batch_size": {"type": "ordered", "values": [32, 64, 128], "when": {}},
}

Truth = Callable[[dict[str, Any]], float]
"""Parameters -> the accuracy that a trial approaches."""


def hill(params: dict[str, Any]) -> float:
    """Best at a threshold of 0.2; without the gate as good as far from there."""
    if not params.get("norm.gate", True):
        return 0.80
    return 0.92 - 0.9 * (params.get("norm.threshold", 0.15) - 0.2) ** 2


def nothing(params: dict[str, Any]) -> float:
    """No parameter matters."""
    return 0.85


def base_config(epochs: int = 9) -> ClassificationConfig:
    """What the made-up trials share."""
    return ClassificationConfig(
        dataset=DatasetConfig(name="digits", validation_fraction=0.25),
        training=ImageTrainingConfig(epochs=epochs),
    )


def sweep_events(
    trials: int = 40,
    *,
    truth: Truth = hill,
    noise: float = 0.01,
    seed: int = 0,
    epochs: int = 9,
    space: dict[str, dict[str, Any]] | None = None,
    stops: tuple[int, ...] = (1, 3),
    keep: float = 1 / 3,
    name: str = "made-up",
    statuses: dict[int, str] | None = None,
    metric: str = "val_top1",
    ended: bool = True,
    audit: int | None = None,
) -> list[Event]:
    """A sweep that stops, at the epochs `stops`, all but the best `keep` of the trials before; statuses override.

    Every `audit`-th trial is never stopped.
    """
    space = SPACE if space is None else space
    generator = random.Random(seed)
    base = base_config(epochs)
    spec = {
        "name": name,
        "description": "made up from a known truth",
        "base": schema.to_plain(base),
        "space": space,
        "objective": {"metric": metric, "mode": "min" if metric == "val_loss" else "max"},
        "search": {"trials": trials, "sampler": "random", "seed": seed},
    }
    events: list[Event] = [
        SweepStarted(
            time_s=START_S,
            sweep_id=f"{seed:032x}",
            name=name,
            spec=spec,
            environment={"git_revision": "a" * 40},
        )
    ]
    rungs: dict[int, list[float]] = {epoch: [] for epoch in stops}
    now_s = START_S
    for number in range(trials):
        params = sample(space, generator)
        exempt = audit is not None and number > 0 and number % audit == 0
        config = replace(base, norm=_norm(params), training=_training(base, params), seed=number)
        events.append(
            TrialCreated(
                time_s=now_s,
                trial=number,
                params=params,
                config=schema.to_plain(config),
                origin="random" if number else "warm start: paper",
                audit=exempt,
            )
        )
        top = truth(params) + generator.gauss(0, noise)
        forced = (statuses or {}).get(number)
        status, last = "completed", epochs
        for epoch in range(1, epochs + 1):
            if forced == "failed" or (forced == "running" and epoch > 2):
                status, last = forced, epoch - 1
                break
            now_s += 1.0
            found = _metrics(top, epoch, epochs, params, generator)
            if forced == "diverged":
                found |= {"val_top1": math.nan, "val_loss": math.nan}
                status, last = forced, epoch
            events.append(EpochReported(time_s=now_s, trial=number, epoch=epoch, metrics=found))
            if forced == "diverged":
                break
            if forced is None and epoch in rungs and epoch < epochs:
                rungs[epoch].append(found["val_top1"])
                if not exempt and (
                    found["val_top1"]
                    < sorted(rungs[epoch], reverse=True)[math.ceil(len(rungs[epoch]) * keep) - 1]
                ):
                    status, last = "stopped", epoch
                    break
        if status != "running":
            events.append(TrialEnded(time_s=now_s, trial=number, status=status, epoch=last))  # type: ignore[arg-type]
    if ended:
        events.append(SweepEnded(time_s=now_s))
    return events


def with_second(events: list[Event], metric: str, value: Callable[[dict[str, Any]], float]) -> list[Event]:
    """The same sweep, judged by another metric as well, less being better; `value` gives it from a trial's params."""
    params = {event.trial: event.params for event in events if isinstance(event, TrialCreated)}
    found: list[Event] = []
    for event in events:
        if isinstance(event, SweepStarted):
            second = {"metric": metric, "mode": "min"}
            spec = {**event.spec, "objective": {**event.spec["objective"], "second": second}}
            event = replace(event, spec=spec)
        elif isinstance(event, EpochReported):
            event = replace(event, metrics={**event.metrics, metric: value(params[event.trial])})
        found.append(event)
    return found


def sample(space: dict[str, dict[str, Any]], generator: random.Random) -> dict[str, Any]:
    """Random parameters of a space in the spec's form, conditions kept; parents come first."""
    params: dict[str, Any] = {}
    for key, item in space.items():
        if any(params.get(parent) != wanted for parent, wanted in (item.get("when") or {}).items()):
            continue
        if item["type"] == "float" and item.get("log"):
            params[key] = math.exp(generator.uniform(math.log(item["low"]), math.log(item["high"])))
        elif item["type"] == "float":
            params[key] = generator.uniform(item["low"], item["high"])
        elif item["type"] == "int":
            params[key] = generator.randint(item["low"], item["high"])
        elif item["type"] == "constant":
            params[key] = item["value"]
        else:
            params[key] = generator.choice(item["values"])
    return params


def write_sweep(home: Path, events: list[Event]) -> SweepFolder:
    """The events as a sweep's journal."""
    assert isinstance(events[0], SweepStarted)
    folder = SweepFolder(home=home, name=events[0].name)
    folder.path.mkdir(parents=True, exist_ok=True)
    with Journal(folder.path) as journal:
        for event in events:
            journal.append(event)
    return folder


def _norm(params: dict[str, Any]) -> NormConfig:
    given = {key.removeprefix("norm."): value for key, value in params.items() if key.startswith("norm.")}
    return NormConfig(**given)


def _training(base: ClassificationConfig, params: dict[str, Any]) -> TrainingConfig:
    return replace(base.training, batch_size=params.get("training.batch_size", base.training.batch_size))


def _metrics(
    top: float, epoch: int, epochs: int, params: dict[str, Any], generator: random.Random
) -> dict[str, float]:
    value = min(top * (1 - 0.5 * math.exp(-2.5 * epoch / epochs * 2)) + generator.gauss(0, 0.004), 1.0)
    found = {
        "val_top1": value,
        "val_loss": 2.3 * (1 - value),
        "train_loss": 2.2 * (1 - value),
        "train_top1": value,
    }
    threshold = params.get("norm.threshold")
    if threshold is None:
        return found
    for depth, layer in enumerate(LAYERS):
        similarity = 0.55 * math.exp(-0.25 * depth) + 0.1 * (1 - epoch / epochs) + generator.gauss(0, 0.02)
        found[f"similarity/{layer}"] = similarity
        found[f"gate_open/{layer}"] = min(max(0.5 + 4 * (similarity - threshold), 0.0), 1.0)
    for measure in ("similarity", "gate_open"):
        found[measure] = sum(found[f"{measure}/{layer}"] for layer in LAYERS) / len(LAYERS)
    return found
