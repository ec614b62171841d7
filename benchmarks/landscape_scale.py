"""The landscape of a large sweep: seconds and memory of its table and its report, sizes of what they write.

    python -m benchmarks.landscape_scale                              100 x 20, 1,000 x 200 and 10,000 x 200
    python -m benchmarks.landscape_scale --trials 1000 --epochs 200   one of them
    python -m benchmarks.landscape_scale --trials 1000 --steps        where the report's seconds go

A made-up journal of trials that all go to their last epoch, each with 13 metrics an epoch and 10,000 validation images
image by image: the most that a sweep of that size can hold. The table, and then the whole report, its table included,
are each made in a fresh process, whose peak of resident memory is read at its end. Goals: for 10,000 trials 30 s for
the table, 60 s for the report, 4 GiB; 5 s for 100 trials; `landscape.json` at most 5 MiB.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.journals import SPACE, START_S, hill, sample, sweep_events
from ubn_sweep import plain_json
from ubn_sweep.records.correctness import packed
from ubn_sweep.records.events import EpochReported, SweepEnded, TrialCreated, TrialEnded, to_dict
from ubn_sweep.records.folder import SweepFolder

SIZES = ((100, 20), (1_000, 200), (10_000, 200))
LAYERS = ("stem", "stage2.norm1", "stage3.norm2")
EXAMPLES = 10_000
MIB = 2**20


def write_journal(home: Path, trials: int, epochs: int) -> SweepFolder:
    """A sweep without early stopping, whose threshold matters."""
    begin, created, *_ = sweep_events(1, epochs=epochs, name=f"scale-{trials}")
    assert isinstance(created, TrialCreated)
    folder = SweepFolder(home=home, name=f"scale-{trials}")
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.journal.open("w", encoding="utf-8") as file:
        file.write(plain_json.dumps(to_dict(begin), separators=(",", ":")) + "\n")
        for number in range(trials):
            file.writelines(_trial_lines(created, number, epochs))
        file.write(plain_json.dumps(to_dict(SweepEnded(time_s=START_S + trials * epochs))) + "\n")
    return folder


def _trial_lines(created: TrialCreated, number: int, epochs: int) -> Iterator[str]:
    params = sample(SPACE, random.Random(number))
    config = json.loads(json.dumps(created.config))
    for key, value in params.items():
        section, name = key.split(".")
        config[section][name] = value
    now_s = START_S + number * epochs
    trial = TrialCreated(time_s=now_s, trial=number, params=params, config=config, origin="random")
    yield plain_json.dumps(to_dict(trial), separators=(",", ":")) + "\n"
    generator = np.random.default_rng(number)
    top = hill(params) + 0.01 * generator.standard_normal()
    for epoch in range(1, epochs + 1):
        metrics = _metrics(top, epoch / epochs, params.get("norm.threshold"), generator.standard_normal(4))
        report = {"time_s": now_s + epoch, "trial": number, "epoch": epoch, "metrics": metrics}
        yield json.dumps({"event": "epoch"} | report, separators=(",", ":")) + "\n"
    assert EpochReported(**report)  # the fields are those of the record
    right = generator.random((1, EXAMPLES)) < metrics["val_top1"]
    end = TrialEnded(
        time_s=now_s + epochs, trial=number, status="completed", epoch=epochs, correct=packed(right)
    )
    yield plain_json.dumps(to_dict(end), separators=(",", ":")) + "\n"


def _metrics(top: float, share: float, threshold: float | None, noise: Any) -> dict[str, float]:
    """Of one epoch; 13 with a gate, as in a network of three layers."""
    value = min(top * (1 - 0.5 * math.exp(-5 * share)) + 0.004 * noise[0], 1.0)
    found = {
        "val_top1": value,
        "val_loss": 2.3 * (1 - value),
        "train_loss": 2.2 * (1 - value),
        "train_top1": value + 0.01 * noise[1],
        "epoch_s": 20 + noise[2],
    }
    if threshold is None:
        return found
    for depth, layer in enumerate(LAYERS):
        similarity = 0.55 * math.exp(-0.4 * depth) + 0.1 * (1 - share) + 0.02 * noise[3]
        found[f"similarity/{layer}"] = similarity
        found[f"gate_open/{layer}"] = min(max(0.5 + 4 * (similarity - threshold), 0.0), 1.0)
    for measure in ("similarity", "gate_open"):
        found[measure] = sum(found[f"{measure}/{layer}"] for layer in LAYERS) / len(LAYERS)
    return found


def measure(folder: SweepFolder, step: str, *, steps: bool = False) -> dict[str, Any]:
    """One step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.landscape_scale", "--folder", str(folder.path)]
    command += ["--step", step, *(["--steps"] if steps else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def take_step(folder: SweepFolder, step: str, *, steps: bool) -> dict[str, Any]:
    """In this very process, imports included."""
    begun_s, moments = time.perf_counter(), []

    def at(doing: str, done: int = 0, total: int = 0) -> None:
        moments.append((doing, time.perf_counter() - begun_s))

    if step == "table":
        from ubn_sweep.records.observations import observations_of, write_table

        write_table(observations_of(folder.path), folder.observations)
    else:
        from ubn_sweep.landscape import build_report

        build_report(folder, at=at)
    found = {
        "s": time.perf_counter() - begun_s,
        "cpu_s": time.process_time(),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30,
    }
    return found | ({"steps": moments} if steps else {})


def measured(trials: int, epochs: int, *, steps: bool) -> dict[str, Any]:
    """Both steps of one size, in a temporary folder."""
    with tempfile.TemporaryDirectory() as home:
        folder = write_journal(Path(home), trials, epochs)
        found: dict[str, Any] = {"trials": trials, "epochs": epochs}
        found["journal_mib"] = folder.journal.stat().st_size / MIB
        found["table"] = measure(folder, "table")
        found["report"] = measure(folder, "report", steps=steps)
        for path in (folder.observations, folder.report, folder.numbers):
            found[f"{path.name}_mib"] = path.stat().st_size / MIB
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--folder", type=Path, help="A journal that is there.")
    parser.add_argument("--step", choices=["journal", "table", "report"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.step == "journal":
        write_journal(options.folder, options.trials, options.epochs)
        return
    if options.step is not None:
        folder = SweepFolder(home=options.folder.parent, name=options.folder.name)
        print(json.dumps(take_step(folder, options.step, steps=options.steps)))
        return
    sizes = SIZES if options.trials is None else ((options.trials, options.epochs),)
    results = [measured(trials, epochs, steps=options.steps) for trials, epochs in sizes]
    print(json.dumps(results, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + os.linesep)


if __name__ == "__main__":
    main()
