"""Sweeps and races in a made-up world, through the real SweepState, and what `export` makes of their journals."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.promise.world import EPOCHS, SPACE, World
from ubn_sweep import schema
from ubn_sweep.export import export_configs
from ubn_sweep.export.finalists import finalists_of
from ubn_sweep.landscape.confirmation import confirmation_of
from ubn_sweep.records.correctness import packed
from ubn_sweep.records.events import Event, SweepEnded, SweepStarted
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.loading import spec_of_mapping
from ubn_sweep.sweep.spec.racing import Racer, baseline_config, race_spec
from ubn_sweep.sweep.spec.spec import SweepSpec


def swept(world: World, home: Path, *, sampler: str, trials: int) -> tuple[SweepFolder, SweepSpec]:
    """A sweep of one worker, with early stopping, as its journal."""
    spec = spec_of_mapping(
        {
            "name": "made-up",
            "base": {
                "dataset": {"name": "digits", "validation_fraction": 0.2},
                "training": {"epochs": EPOCHS},
            },
            "space": SPACE,
            "search": {"trials": trials, "sampler": sampler, "seed": 0},
        }
    )
    return _run(world, spec, home), spec


def raced(world: World, folder: SweepFolder, spec: SweepSpec, *, top: int, seeds: int, held_out: int) -> int:
    """The sweep's confirmation beside it; how many trainings it took."""
    found = finalists_of(folder, top)
    racers = [Racer(name=one.name, config=one.config, trial=one.trial) for one in found.chosen]
    baseline = baseline_config(spec, "bn")
    assert baseline is not None
    racers.append(Racer(name="bn", config=baseline, baseline=True))
    race = race_spec(
        spec, found.sweep_id, racers, name=f"{folder.name}-confirm", choosing=seeds, held_out=held_out
    )
    state: list[int] = []
    _run(world, race, folder.home, counted=state)
    return state[0]


def exported(folder: SweepFolder, out: Path) -> dict[str, Any]:
    """The best config's whole content, promise included, as the file has it."""
    (path,) = export_configs(folder, top=1, out=out)
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def _run(world: World, spec: SweepSpec, home: Path, *, counted: list[int] | None = None) -> SweepFolder:
    events: list[Event] = []
    task = spec.find_task().record(spec.base).to_plain()
    events.append(
        SweepStarted(
            time_s=0.0,
            sweep_id=spec.name,
            name=spec.name,
            spec=schema.to_plain(spec),
            environment={},
            task=task,
        )
    )
    state = SweepState(spec, record=events.append, now_s=lambda: 0.0)
    while (trial := state.next_trial()) is not None:
        values, right = world.curve(trial.config)
        correct = packed([right])
        for epoch in range(trial.epoch + 1, EPOCHS + 1):
            metrics = {"val_top1": float(values[epoch - 1]), "val_examples": float(world.scenario.validation)}
            metrics["val_loss"] = 1 - metrics["val_top1"]
            told = correct if epoch == EPOCHS else None
            if state.report(trial.number, epoch, metrics, correct=told):
                break
    assert state.finished
    events.append(SweepEnded(time_s=0.0))
    if counted is not None:
        counted.append(len(state.trials))
    return _written(home, spec.name, events)


def _written(home: Path, name: str, events: Iterable[Event]) -> SweepFolder:
    folder = SweepFolder(home=home, name=name)
    folder.path.mkdir(parents=True)
    with Journal(folder.path) as journal:
        for event in events:
            journal.append(event)
    return folder


def difference_of(world: World, folder: SweepFolder, winner: dict[str, Any]) -> float | None:
    """Whether the race's interval of the winner's difference to BatchNorm holds the true one; None without it."""
    race = confirmation_of(folder, "made-up")
    if race is None or race.winner is None or race.winner.against is None:
        return None
    found = race.winner.against.difference
    if found.low is None or found.high is None:
        return None
    true = world.worth(winner) - world.worth({"norm": {"name": "bn"}})
    return float(found.low <= true <= found.high)
