"""Trainables for tests of the sweep engine: real trials in real workers, with next to nothing to train."""

import json
import os
import random
import time
from pathlib import Path

from ubn_sweep.training.trial import Trial

EPOCH_S = float(os.environ.get("TEST_EPOCH_S", "0.02"))


class Counter:
    """Something with a state to save: how often each epoch was trained is written to a file beside the sweep."""

    def __init__(self, trial: Trial) -> None:
        self.epoch = 0
        self._trial = trial
        self._quality = random.Random(trial.config.seed).random()

    def save(self, folder: Path) -> None:
        (folder / "state.json").write_text(json.dumps(self.epoch))

    def load(self, folder: Path) -> None:
        self.epoch = json.loads((folder / "state.json").read_text())

    def train_epoch(self) -> dict[str, float]:
        time.sleep(EPOCH_S)
        self.epoch += 1
        log_epoch(self._trial.number, self.epoch)
        return {
            "val_top1": self._quality * (1 - 0.5**self.epoch),
            "val_loss": 1 / self.epoch,
            "similarity/layer1.0.bn1": 0.1 * self.epoch,
        }


def log_epoch(number: int, epoch: int) -> None:
    path = os.environ.get("TEST_EPOCH_LOG")
    if path is not None:
        with Path(path).open("a") as file:
            file.write(f"{number} {epoch} {os.getpid()}\n")


def train(trial: Trial) -> None:
    """Learns at a speed that the seed decides."""
    counter = Counter(trial)
    trial.resume(counter.load)
    go_on = counter.epoch < trial.config.training.epochs
    while go_on:
        go_on = trial.report(counter.epoch + 1, counter.train_epoch(), save=counter.save)


def train_with_faults(trial: Trial) -> None:
    """Trial 2 raises, trial 3 diverges, trial 4's process dies once, trial 5's always, trial 6 returns early."""
    counter = Counter(trial)
    trial.resume(counter.load)
    go_on = counter.epoch < trial.config.training.epochs
    while go_on:
        metrics = counter.train_epoch()
        if trial.number == 2 and counter.epoch == 2:
            raise RuntimeError("boom in epoch two")
        if trial.number == 3:
            trial.report(1, {"val_top1": float("nan")}, save=counter.save, diverged=True)
            return
        marker = Path(os.environ["TEST_EPOCH_LOG"]).with_suffix(".died")
        if trial.number == 5 or (trial.number == 4 and counter.epoch == 2 and not marker.exists()):
            marker.touch()
            os._exit(1)
        if trial.number == 6:
            return
        go_on = trial.report(counter.epoch, metrics, save=counter.save)


def raise_at_once(trial: Trial) -> None:
    raise RuntimeError(f"no such [thing] for trial {trial.number}")


def report_words_in_trial_1(trial: Trial) -> None:
    """One metric of trial 1 is no number."""
    counter = Counter(trial)
    go_on = True
    while go_on:
        metrics = {**counter.train_epoch(), **({"note": "fine"} if trial.number == 1 else {})}
        go_on = trial.report(counter.epoch, metrics, save=counter.save)


def interrupt(trial: Trial) -> None:
    """As `train`, but somebody presses Ctrl-C in the trial and epoch that TEST_INTERRUPT_AT names."""
    counter = Counter(trial)
    trial.resume(counter.load)
    go_on = counter.epoch < trial.config.training.epochs
    while go_on:
        metrics = counter.train_epoch()
        if os.environ.get("TEST_INTERRUPT_AT") == f"{trial.number} {counter.epoch}":
            raise KeyboardInterrupt
        go_on = trial.report(counter.epoch, metrics, save=counter.save)
