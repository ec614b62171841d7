"""Image classification as a task: what it is judged by, what it may vary, and who trains it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ubn_sweep.errors import UserError
from ubn_sweep.records.metrics import SHARE, Metric
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.data.registry import find_dataset
from ubn_sweep.training.data.splits import split_sizes
from ubn_sweep.training.models.check import check_model
from ubn_sweep.training.norms import NORM_CHOICES, NORM_EFFECTS, NORM_STARTS
from ubn_sweep.training.run import Run
from ubn_sweep.training.task import Task

if TYPE_CHECKING:
    from torch import nn


class ImageClassification(Task):
    """One network tells what an image shows; trials are judged on images that they do not train on."""

    Config = ClassificationConfig
    example = "image"
    labels_an_image: ClassVar[str] = "one"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="val_top1",
            label="validation accuracy",
            direction="max",
            unit=SHARE,
            count="val_examples",
            test="test_top1",
        ),
        Metric(name="val_loss", label="validation loss", direction="min", test="test_loss"),
    )
    costs = (
        Metric(name="epoch_s", label="time of an epoch", direction="min", unit="s"),
        Metric(name="val_images_per_s", label="speed at inference", direction="max", unit="images/s"),
        Metric(name="parameters", label="trained parameters", direction="min"),
    )
    told: ClassVar[tuple[Metric, ...]] = (
        Metric(name="train_loss", label="training loss", direction="min"),
        Metric(name="train_top1", label="top-1", direction="max", unit=SHARE),
    )
    fixed: ClassVar = {
        "dataset": "trials that see other images cannot be compared: sweep each dataset by itself",
        "repeats": "trials that average over fewer seeds cannot be compared: set it in `base`",
        "device": "trials belong on one kind of device: set it in `base`",
    }
    effects = NORM_EFFECTS
    warm_starts = NORM_STARTS
    split_key = "dataset.split_seed"
    several_workers = True
    columns = (
        "norm", "optimizer", "model", "training", "seed", "repeats", "dataset.name", "dataset.validation_fraction",
        "dataset.train_examples", "dataset.split_seed", "dataset.augmentation", "dataset.image_size_px",
        "dataset.validate_on_test",
    )  # fmt: skip
    choices = NORM_CHOICES

    def start(self, config: Any, *, threads: int | None = None, hold_out: bool = True) -> Run:
        """A TrainingRun."""
        from ubn_sweep.training.classification.run import TrainingRun

        run = TrainingRun(config, threads=threads, hold_out=hold_out)
        if run.labels_an_image != self.labels_an_image:
            other = "trainables.classification:Classification"
            if run.labels_an_image != "one":
                other = "trainables.multi_label:MultiLabel"
            raise UserError(
                f"task: `{self.name}` is of images with {self.labels_an_image} label each, but those of "
                f"`{config.dataset.name}` have {run.labels_an_image}: take {other}"
            )
        return run

    def load_model(self, config: Any, folder: Path) -> nn.Module:
        """The trained network, in evaluation mode: images (N, C, H, W), normalised as in training -> logits."""
        from ubn_sweep.training.classification.model import load_network

        return load_network(config, folder)

    def model_input(self, config: Any, folder: Path) -> Any:
        """Pixels drawn evenly from 0 to 255: float32 (2, C, H, W)."""
        from ubn_sweep.training.classification.model import example_pixels

        return example_pixels(folder)

    def check(self, config: Any) -> None:
        """Whether the images, a model of one's own and its weights are there."""
        find_dataset(config.dataset).check()
        check_model(config.model)

    def prepare(self, config: Any) -> None:
        """Downloads the images where `dataset.download` allows it and they are absent."""
        find_dataset(config.dataset).prepare()

    def fingerprint(self, config: Any) -> str | None:
        """Of the images' files, by name and size, or by their number."""
        return find_dataset(config.dataset).identity()

    def check_gpus(self, config: Any, gpus: float) -> None:
        """A worker trains on one device."""
        if config.device == "cuda" and gpus == 0:
            raise UserError(
                "base.device: is cuda, but resources.gpus_per_worker is 0, and a trial sees the GPUs alone that it "
                "takes: set resources.gpus_per_worker=1, or less to share one"
            )
        if config.device == "cpu" and gpus > 0:
            raise UserError(
                f"base.device: is cpu, but resources.gpus_per_worker is {gpus:g}, which no trial would use: set it to "
                "0, or the device to auto"
            )
        if gpus > 1:
            raise UserError(
                f"resources.gpus_per_worker: a worker trains on one GPU, but got {gpus:g}: set it to 1, or less to "
                "share one, and resources.workers_per_trial to the GPUs of a trial"
            )

    def judges_on_test(self, config: Any) -> bool:
        """As papers do."""
        return bool(config.dataset.validate_on_test)

    def subject(self, config: Any) -> str:
        return f"{config.model.name} on {config.dataset.name}"

    def examples(self, config: Any) -> int | None:
        """Exact or nearly so: split_sizes says when."""
        sizes = split_sizes(find_dataset(config.dataset).sizes(), config.dataset)
        return None if sizes is None else sizes.validation

    def seeds_per_trial(self, config: Any) -> int:
        return int(config.repeats)
