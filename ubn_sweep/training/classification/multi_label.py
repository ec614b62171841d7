"""Image classification with any number of labels an image, as a task."""

from __future__ import annotations

from typing import ClassVar

from ubn_sweep.records.metrics import SHARE, Metric
from ubn_sweep.training.classification.task import ImageClassification


class MultiLabelClassification(ImageClassification):
    """One network tells which labels an image has: binary cross-entropy, judged by the mean average precision.

    Its data sets give labels as rows of 0 and 1, one for each label there is.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="val_map", label="mean average precision", direction="max", test="test_map"),
        Metric(
            name="val_exact",
            label="images with all labels right",
            direction="max",
            unit=SHARE,
            count="val_examples",
            test="test_exact",
        ),
        Metric(
            name="val_label_accuracy", label="label accuracy", direction="max", test="test_label_accuracy"
        ),
        Metric(name="val_loss", label="validation loss", direction="min", test="test_loss"),
    )
    told: ClassVar[tuple[Metric, ...]] = (
        Metric(name="train_loss", label="training loss", direction="min"),
        Metric(name="train_label_accuracy", label="label accuracy", direction="max"),
    )
    labels_an_image = "any number"
