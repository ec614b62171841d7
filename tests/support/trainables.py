"""Trainables for tests of the sweep engine: real trials in real workers, with next to nothing to train."""

import ctypes
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


def tell_what_was_right(trial: Trial) -> None:
    """Of four examples, as many as epochs have passed."""
    counter = Counter(trial)
    go_on = True
    while go_on:
        metrics = counter.train_epoch()
        correct = [[place < counter.epoch for place in range(4)]]
        go_on = trial.report(counter.epoch, metrics, save=counter.save, correct=correct)


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


def train_to(trial: Trial, before_epoch) -> None:
    """As `train`; `before_epoch` is called with each epoch to come, and may go wrong."""
    counter = Counter(trial)
    trial.resume(counter.load)
    go_on = counter.epoch < trial.config.training.epochs
    while go_on:
        before_epoch(counter.epoch + 1)
        go_on = trial.report(counter.epoch + 1, counter.train_epoch(), save=counter.save)


spoilt = False


def spoil_the_process(trial: Trial) -> None:
    """Trial 1 fails once, and whatever runs in its process from then on fails too: a dead CUDA context."""

    def before_epoch(epoch: int) -> None:
        global spoilt
        marker = Path(os.environ["TEST_EPOCH_LOG"]).with_suffix(".died")
        if trial.number == 1 and epoch == 3 and not marker.exists():
            marker.touch()
            spoilt = True
        if spoilt:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    train_to(trial, before_epoch)


def tear_down_slowly(trial: Trial) -> None:
    """A stopped trial takes its time: it closes its data loaders, say."""
    try:
        train(trial)
    finally:
        time.sleep(4)


def never_let_go(trial: Trial) -> None:
    """A stopped trial holds on to its process for longer than it is given."""
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = "1"
    tear_down_slowly(trial)


def hang_or_crash(trial: Trial) -> None:
    """Trial 1 hangs in epoch 2, once; trial 2's process crashes in epoch 2, always."""
    print(f"this is trial {trial.number}", flush=True)

    def before_epoch(epoch: int) -> None:
        marker = Path(os.environ["TEST_EPOCH_LOG"]).with_suffix(".died")
        if trial.number == 1 and epoch == 2 and not marker.exists():
            marker.touch()
            wait_for_ever()
        if trial.number == 2 and epoch == 2:
            ctypes.string_at(0)

    train_to(trial, before_epoch)


def wait_for_ever() -> None:
    while True:
        time.sleep(1)


def report_another_metric(trial: Trial) -> None:
    """Trial 1 reports val_acc where the sweep wants val_top1."""
    counter = Counter(trial)
    go_on = True
    while go_on:
        metrics = {"val_acc": 0.5} if trial.number == 1 else counter.train_epoch()
        go_on = trial.report(max(counter.epoch, 1), metrics, save=counter.save)


def fail_while_the_data_is_gone(trial: Trial) -> None:
    """From trial 2 on every trial fails, as long as TEST_DATA_GONE is set."""
    if trial.number >= 2 and os.environ.get("TEST_DATA_GONE") is not None:
        raise FileNotFoundError("/data: transport endpoint is not connected")
    train(trial)


def run_out_of_memory(trial: Trial) -> None:
    raise MemoryError("cannot allocate 3 GB\nsecond line")


def damage_its_checkpoint(trial: Trial) -> None:
    """Trial 0 damages its newest checkpoint after epoch 4, once, and fails."""
    marker = Path(os.environ["TEST_EPOCH_LOG"]).with_suffix(".died")

    def before_epoch(epoch: int) -> None:
        if trial.number == 0 and epoch == 5 and not marker.exists():
            marker.touch()
            newest = max(Path("sweeps/small/checkpoints/0000").glob("*/epoch-*"))
            (newest / "state.json").write_text("{")
            raise RuntimeError("the disk had a bad day")

    train_to(trial, before_epoch)


def print_its_devices(trial: Trial) -> None:
    print(f"devices: {os.environ.get('CUDA_VISIBLE_DEVICES')!r}", flush=True)
    train(trial)


def be_taken_over(trial: Trial) -> None:
    """In epoch 3 another machine says that the sweep is its own."""

    def before_epoch(epoch: int) -> None:
        if epoch == 3:
            sign_of_another(Path(os.environ["TEST_DRIVER_FILE"]))
            time.sleep(1.5)

    train_to(trial, before_epoch)


def sign_of_another(path: Path) -> None:
    """What a process of another machine writes."""
    path.write_text(json.dumps({"machine": "another", "pid": 1}))
