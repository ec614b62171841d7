"""What a sweep's driver holds of each trial, as the sweep grows: kB per trial, and who holds it.

    python -m benchmarks.driver_memory                     2,000 trials in this very process
    python -m benchmarks.driver_memory --ray --trials 1000 the same under Ray Tune, with Tune's own objects
    python -m benchmarks.driver_memory --holders           slower: the lines of code whose objects stay

A trial reports 20 epochs of two metrics of the task's and 100 of its layers'. It trains nothing. The journal is written
as in any sweep; MLflow and the Optuna storage are left out. The driver's resident memory, or with `--holders` that of
its Python objects, is read eight times on the way (at 250, 500, ... 2,000 trials). The cost of a trial is the slope
through these: the start-up, the same for all sweeps, drops out.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import statistics
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.sweep_overhead import SPACE, quality, surroundings
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, start_sweep
from ubn_sweep.sweep.running.ray.executor import RayExecutor
from ubn_sweep.sweep.spec.loading import spec_from_plain

EPOCHS = 20
LAYERS = tuple(f"stage{n // 13}.block{n % 13}.norm" for n in range(50))
LAYER_METRICS = tuple(f"{kind}/{layer}" for kind in ("similarity", "gate_open") for layer in LAYERS)
PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024
LOOK_EVERY_S = 0.02
MOST_HOLDERS = 15
PARTS = 8
"""Looks a sweep."""


def train(trial: Any) -> None:
    """The made-up trial."""
    norm = trial.config.norm
    for epoch in range(1, EPOCHS + 1):
        value = quality(norm.threshold, norm.momentum, epoch)
        metrics = {"val_top1": value, "val_loss": 1 - value}
        metrics |= {name: value / (place + 1) for place, name in enumerate(LAYER_METRICS)}
        trial.report(epoch, metrics, save=lambda folder: None)


@dataclass(kw_only=True)
class Looks:
    """The driver's memory, read as trials end: the process's, or where Python's allocations are traced, these alone."""

    marks: tuple[int, ...]
    traced: bool
    kb: dict[int, float] = field(default_factory=dict)
    """Trials ended -> kB."""
    snapshots: list[Any] = field(default_factory=list)

    @contextmanager
    def watch(self, state: SweepState, folder: SweepFolder) -> Iterator[None]:
        """Looks on from another thread while the block runs."""
        over = threading.Event()

        def look_on() -> None:
            left = list(self.marks)
            while left and not over.wait(LOOK_EVERY_S):
                if sum(state.counts.values()) >= left[0]:
                    left.pop(0)
                    self._look(sum(state.counts.values()))

        thread = threading.Thread(target=look_on, daemon=True)
        thread.start()
        yield
        over.set()
        thread.join()

    def _look(self, ended: int) -> None:
        gc.collect()
        if self.traced:  # the tracing's own books make the process several times as large
            self.kb[ended] = tracemalloc.get_traced_memory()[0] / 1024
            self.snapshots.append(tracemalloc.take_snapshot())
        else:
            self.kb[ended] = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB


def measure(trials: int, *, ray: bool, sampler: str, traced: bool) -> Looks:
    """Runs one sweep in a temporary folder, a tenth longer than looked at: its end takes memory of its own."""
    looks = Looks(marks=tuple(trials * part // PARTS for part in range(1, PARTS + 1)), traced=traced)
    content = {
        "name": "memory",
        "task": "benchmarks.driver_memory:train",
        "base": {"training": {"epochs": EPOCHS}},
        "space": SPACE,
        "search": {"trials": trials + trials // 10, "sampler": sampler, "warm_starts": False},
        "early_stopping": None,
    }
    executor = RayExecutor(cpus=2) if ray else InProcessExecutor()
    if traced:
        tracemalloc.start()
    with tempfile.TemporaryDirectory() as home:
        start_sweep(
            spec_from_plain(content),
            home=Path(home),
            name=None,
            surroundings=Surroundings(executor=executor, watch=looks.watch),
        )
    return looks


def per_trial_kb(read_kb: dict[int, float]) -> float:
    """The median of the slopes between all pairs of looks (Theil and Sen): no single jump sways it."""
    pairs = itertools.combinations(sorted(read_kb.items()), 2)
    return statistics.median((high - low) / (after - before) for (before, low), (after, high) in pairs)


def holders(looks: Looks) -> list[tuple[str, float]]:
    """(line of code, kB per trial) of the objects that were made between the first look and the last, and stayed."""
    trials = max(looks.kb) - min(looks.kb)
    grown = looks.snapshots[-1].compare_to(looks.snapshots[0], "lineno")
    return [
        (f"{_short(line.traceback[0].filename)}:{line.traceback[0].lineno}", line.size_diff / 1024 / trials)
        for line in grown[:MOST_HOLDERS]
    ]


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-3:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--holders", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    looks = measure(options.trials, ray=options.ray, sampler=options.sampler, traced=options.holders)
    result = {
        "executor": "ray" if options.ray else "in process",
        "sampler": options.sampler,
        "measured": "Python's objects" if options.holders else "resident memory",
        "mb": {ended: round(kb / 1024, 1) for ended, kb in looks.kb.items()},
        "kb_per_trial": round(per_trial_kb(looks.kb), 1),
        **surroundings(),
    }
    print(json.dumps(result, indent=1))
    if options.holders:
        for line, kb in holders(looks):
            print(f"{kb:8.2f} kB per trial  {line}")
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
