"""`verify`: the first epochs of a bundle once more, and whether they are what was recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ubn_sweep.commands.bars import counted
from ubn_sweep.commands.live import print_json, say, warn
from ubn_sweep.errors import NotReproducedError, UserError
from ubn_sweep.export.bundle import BundleFolder, read_bundle
from ubn_sweep.export.verification import Verification, check_epochs, differences, verified
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.environment import describe_environment
from ubn_sweep.training.distributed.led_run import started_run
from ubn_sweep.training.loading import load_config
from ubn_sweep.training.metrics import as_numbers
from ubn_sweep.training.task import Task

USUAL_EPOCHS = 3


def verify_bundle(path: Path, *, epochs: int | None, assignments: Sequence[str], as_json: bool) -> None:
    """Compares versions and data, trains the first epochs, compares them with the recorded ones.

    Raises:
        UserError: it is no bundle, its data is not there, or it records too little.
        NotReproducedError: the epochs are not what was recorded.
    """
    folder = read_bundle(path)
    task, config = load_config(folder.config, assignments)
    _check_same(config)
    count = check_epochs(folder, epochs, usual=USUAL_EPOCHS)
    task.check(config)
    lines = differences(folder, environment=describe_environment(), data=task.fingerprint(config))
    for line in lines:
        warn(line)
    with counted():
        found = _trained(task, config, folder, count)
    result = verified(folder, (*task.metrics, *task.told), found)
    if as_json:
        print_json({"differences": lines, **with_nulls(dataclasses.asdict(result))})
    if not result.reproduced:
        raise NotReproducedError(_with(lines, result))
    if not as_json:
        say(_with(lines, result))


def _check_same(config: Any) -> None:
    changed = config.provenance.changed if config.provenance is not None else ()
    if changed:
        raise UserError(
            f"--set: `{changed[0]}` makes another config of it: set where the data lies, or the device, alone"
        )


def _trained(task: Task, config: Any, folder: BundleFolder, count: int) -> dict[int, dict[str, float]]:
    """Epoch -> metrics, under the sweep's own protocol with the trial's own seed."""
    bundle, recorded = folder.bundle, folder.curves[0].epochs
    found: dict[int, dict[str, float]] = {}
    metric = task.promise
    with started_run(task, config, workers=bundle.workers, threads=bundle.threads) as run:
        say(f"{run.summary}; {count} of {config.training.epochs} epochs")
        while run.epoch < count and not run.diverged:
            values = as_numbers(run.train_epoch())
            found[run.epoch] = values
            was = recorded[run.epoch].get(metric.name)
            if metric.name in values and was is not None:
                said = f"{metric.label} {metric.text(values[metric.name])}, recorded {metric.text(was)}"
                say(f"epoch {run.epoch}/{count}  {said}")
    return found


def _with(lines: Sequence[str], result: Verification) -> str:
    if not lines:
        return (
            f"{result.sentence} Data, versions and code are those of the sweep, as far as it recorded them."
        )
    differ = "one thing differs" if len(lines) == 1 else f"{len(lines)} things differ"
    return f"{result.sentence} {differ.capitalize()} here from where the sweep ran, each told above."
