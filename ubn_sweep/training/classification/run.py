"""A training run: one config, one or several seeds beside each other, epoch by epoch."""

from __future__ import annotations

import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from ubn_sweep.errors import UserError
from ubn_sweep.training.checkpoint import load_checkpoint, save_checkpoint
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.classification.repeat import Repeat
from ubn_sweep.training.data.registry import find_dataset
from ubn_sweep.training.device import choose_device, synchronize
from ubn_sweep.training.distributed.group import own_share
from ubn_sweep.training.run import Run
from ubn_sweep.training.share import joint_batch

SPREAD_IS_TOLD = {f"{part}_{name}" for part in ("val", "test") for name in ("top1", "map")}
"""Over several repeats."""


class TrainingRun(Run):
    """Trains `config.repeats` seeds, `config.seed` and those after it.

    A run that was saved, and loaded in another process, goes on bit for bit as if it had never stopped, on
    the same device with the same number of threads: order, augmentation and whatever layers draw follow from
    seed and epoch.

    Args:
        threads: Threads of the processor, of the whole process; None leaves them as they are.
        hold_out: False trains on train + validation, with nothing left to validate on: the final training.

    Raises:
        UserError: the data is not there, or the device, or there are too few images for the workers.
    """

    def __init__(
        self, config: ClassificationConfig, *, threads: int | None = None, hold_out: bool = True
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.config = config
        self.hold_out = hold_out
        self.epoch = 0
        self.device = choose_device(config.device)
        self._dataset = find_dataset(config.dataset).load(
            hold_out=hold_out, device=self.device, threads=threads
        )
        self._share = own_share()
        if self.train_examples < 2 * self._share.count:
            raise UserError(
                f"workers: {self._share.count} need two images each to train on, but there are {self.train_examples}: "
                "take fewer workers"
            )
        self._repeats = [
            Repeat(config, self._dataset, config.seed + repeat, self.device)
            for repeat in range(config.repeats)
        ]

    @property
    def diverged(self) -> bool:
        """Whether a loss or a parameter is not finite any more; training on would be in vain."""
        return any(repeat.diverged for repeat in self._repeats)

    @property
    def correct(self) -> Any:
        """Of the last evaluation, (repeats, images) of bool on the processor; None before, and where one diverged."""
        rows = [repeat.correct for repeat in self._repeats]
        known = [row for row in rows if row is not None]
        if len(known) < len(rows):
            return None
        return torch.stack(known).cpu().numpy()

    @property
    def labels_an_image(self) -> str:
        """`one`, or `any number`."""
        return "one" if self._repeats[0].one_label else "any number"

    @property
    def train_examples(self) -> int:
        return len(self._dataset.train)

    @property
    def validation_examples(self) -> int:
        """0 in the final training."""
        return 0 if self._dataset.validation is None else len(self._dataset.validation)

    @property
    def parameters(self) -> int:
        """Trained numbers of one network."""
        return sum(parameter.numel() for parameter in self._repeats[0].model.parameters())

    @property
    def summary(self) -> str:
        """What is about to be trained, on what, in a line."""
        held_out = (
            f", {self.validation_examples:,} to validate on" if self.hold_out else " (train + validation)"
        )
        workers = "" if self._share.is_whole else f"{self._share.count} x "
        return (
            f"{self.config.model.name}, {self.config.norm.name}: {self.parameters:,} parameters, "
            f"{workers}{self.device}, "
            f"{self.train_examples:,} images to train on{held_out}"
        )

    def train_epoch(self) -> dict[str, float]:
        """Trains one epoch, validates, and returns the metrics; over several repeats their means.

        train_loss and train_top1 (during the epoch, on augmented images), lr (of its last step), val_loss,
        val_top1 and val_top5 (shares; that only of six classes or more), val_examples (how many images those
        are of), val_images_per_s (through the network, without gradients), parameters (trained numbers of one
        network), epoch_s and images_per_s (training alone, of all repeats), and where layers have a gate:
        similarity, gate_open (means over the layers), similarity/<layer>, gate_open/<layer>; with
        `training.condensation_images` condensation and condensation/<layer>. Over several
        repeats val_top1_std is their sample standard deviation. A run that diverges holds NaN for what is
        unknown then. Of several workers: `workers`, `joint_batch_size`, and all else over all of them.
        """
        epoch = self.epoch + 1
        begin = time.perf_counter()
        metrics = [repeat.train_epoch(epoch) for repeat in self._repeats]
        synchronize(self.device)
        duration_s = time.perf_counter() - begin
        self.epoch = epoch
        begin = time.perf_counter()
        for repeat, of_repeat in zip(self._repeats, metrics, strict=True):
            of_repeat |= self._validate(repeat)
        synchronize(self.device)
        validation_s = time.perf_counter() - begin
        for repeat, of_repeat in zip(self._repeats, metrics, strict=True):
            of_repeat |= repeat.measure_condensation()
        images = self.train_examples * len(self._repeats)
        timed = {"epoch_s": duration_s, "images_per_s": images / duration_s}
        facts = {"parameters": float(self.parameters)} | joint_batch(
            self._share, self.config.training.batch_size
        )
        if self.hold_out:
            judged = self.validation_examples
            facts["val_examples"] = float(judged)
            timed["val_images_per_s"] = judged * len(self._repeats) / validation_s
        return _mean_over_repeats(metrics) | facts | timed

    def evaluate_validation(self) -> dict[str, float]:
        """The validation metrics of train_epoch, for the state as it is; none in the final training."""
        return _mean_over_repeats([self._validate(repeat) for repeat in self._repeats])

    def evaluate_test(self) -> dict[str, float]:
        """test_loss, test_top1, test_top5 (and test_top1_std) on the test set, which nothing else reads."""
        test = self._dataset.load_test()
        self.test_examples = len(test)
        return _mean_over_repeats([repeat.evaluate(test, "test") for repeat in self._repeats])

    def save(self, folder: Path) -> None:
        """Writes the run's state into a folder, whole or not at all."""
        save_checkpoint(
            folder,
            self.config,
            hold_out=self.hold_out,
            epoch=self.epoch,
            repeats=[repeat.state_dict() for repeat in self._repeats],
            network=self._network_facts(),
        )

    def load(self, folder: Path) -> None:
        """Takes up the state that `save` wrote.

        Raises:
            UserError: there is none, it is damaged, or it belongs to another config.
        """
        checkpoint = load_checkpoint(folder, self.config, hold_out=self.hold_out, device=self.device)
        for repeat, state in zip(self._repeats, checkpoint["repeats"], strict=True):
            repeat.load_state_dict(state)
            repeat.diverged = False
        self.epoch = checkpoint["epoch"]

    def _network_facts(self) -> dict[str, Any]:
        """What builds the same network, and feeds it alike, where the data is not at hand."""
        normalize = self._dataset.train.normalize
        return {
            "num_classes": self._dataset.num_classes,
            "in_channels": self._dataset.in_channels,
            "image_size_px": self._dataset.image_size_px,
            "shift": normalize.shift.cpu(),
            "factor": normalize.factor.cpu(),
        }

    def _validate(self, repeat: Repeat) -> dict[str, float]:
        if self._dataset.validation is None:
            return {}
        if self.diverged:
            return repeat.unknown("val")
        return repeat.evaluate(self._dataset.validation, "val")


def _mean_over_repeats(metrics: list[dict[str, float]]) -> dict[str, float]:
    if len(metrics) == 1:
        return metrics[0]
    means = {key: statistics.fmean(one[key] for one in metrics) for key in metrics[0]}
    for key in SPREAD_IS_TOLD & means.keys():
        values = [one[key] for one in metrics]
        known = all(math.isfinite(value) for value in values)
        means[f"{key}_std"] = statistics.stdev(values) if known else math.nan
    return means
