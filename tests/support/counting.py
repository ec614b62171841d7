"""A task that trains nothing, and as a program its final training: `python -m tests.support.counting FOLDER`."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ubn_sweep.export.final import FinalResult, train_for_good
from ubn_sweep.records.final_training import recording
from ubn_sweep.records.folder import FinalFolder
from ubn_sweep.records.metrics import Metric
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.run import Run
from ubn_sweep.training.task import Task


@dataclass(frozen=True, kw_only=True)
class CountingBudget:
    epochs: int = 4


@dataclass(frozen=True, kw_only=True)
class CountingConfig:
    training: CountingBudget = field(default_factory=CountingBudget)
    seed: int = 0
    provenance: Provenance | None = None


class CountingRun(Run):
    """Counts its epochs. TEST_KILL_IN_SAVE names the epoch in whose save its process is killed, half-way."""

    def train_epoch(self) -> dict[str, float]:
        self.epoch += 1
        return {"count": float(self.epoch)}

    def evaluate_test(self) -> dict[str, float]:
        return {"count": float(self.epoch)}

    def save(self, folder: Path) -> None:
        text = json.dumps({"epoch": self.epoch})
        if os.environ.get("TEST_KILL_IN_SAVE") == str(self.epoch):
            (folder / "state.json").write_text(text[:5])
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / "state.json").write_text(text)

    def load(self, folder: Path) -> None:
        self.epoch = json.loads((folder / "state.json").read_text())["epoch"]


class Counting(Task):
    name = "tests.support.counting:Counting"
    Config = CountingConfig
    metrics = (Metric(name="count", label="count", direction="max"),)

    def start(self, config: CountingConfig, *, threads: int | None = None, hold_out: bool = True) -> Run:
        return CountingRun()


def train(folder: Path, told: list[str]) -> FinalResult:
    """The final training, recorded as `ubn-sweep train` does it."""
    final = FinalFolder(folder=folder)
    with recording(final) as recorder:
        recorder.begin(name="counting", config={}, tracking_uri=None, environment={})
        result = train_for_good(
            Counting(), CountingConfig(), folder=final, recorders=(recorder,), tell=told.append
        )
        recorder.end("completed")
    return result


if __name__ == "__main__":
    train(Path(sys.argv[1]), [])
