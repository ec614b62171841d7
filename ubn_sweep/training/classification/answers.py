"""What a network's answers are worth, with one label an image or several: the loss to learn from, and the metrics."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

TOP5_CLASSES = 6
"""From so many classes on, top-5 accuracy says something."""


class Answers(Protocol):
    """How logits (N, num_classes) and labels compare."""

    learned: str
    """The metric of training: `train_top1`."""
    needs_all: bool
    """Whether a metric is of all images at once, and no sum over them."""

    def names(self, prefix: str) -> list[str]:
        """The metrics of an evaluation: those that `sums` has, in its order, and those of all images."""
        ...

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The batch's mean loss, to learn from."""
        ...

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Which images are wholly right, (N,) of bool."""
        ...

    def learned_sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of `learned`, over the images of a training batch."""
        ...

    def sums(self, logits: Tensor, labels: Tensor) -> list[Tensor]:
        """Of each metric, over the images of a batch."""
        ...

    def of_all(self, logits: Tensor, labels: Tensor, prefix: str) -> dict[str, float]:
        """The metrics that are of all images at once."""
        ...


class OneLabel:
    """Cross-entropy, and how often the first guess, or one of five, is right. labels (N,) int64."""

    learned, needs_all = "train_top1", False

    def __init__(self, num_classes: int, label_smoothing: float) -> None:
        self._top5 = num_classes >= TOP5_CLASSES
        self._smoothing = label_smoothing

    def names(self, prefix: str) -> list[str]:
        return [f"{prefix}_{name}" for name in ("loss", "top1", *(["top5"] if self._top5 else []))]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self._smoothing)

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        return logits.argmax(1) == labels

    def learned_sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.right(logits, labels).sum()

    def sums(self, logits: Tensor, labels: Tensor) -> list[Tensor]:
        found = [F.cross_entropy(logits, labels, reduction="sum"), self.right(logits, labels).sum()]
        if self._top5:
            found.append((logits.topk(5).indices == labels[:, None]).sum())
        return found

    def of_all(self, logits: Tensor, labels: Tensor, prefix: str) -> dict[str, float]:
        return {}


class ManyLabels:
    """Binary cross-entropy of each label, and how well its images are ranked. labels (N, num_classes) of 0 and 1.

    map: the mean, over the labels that any image has, of the average precision. label_accuracy: the share of single
    labels that are right. exact: that of images all of whose labels are.
    """

    learned, needs_all = "train_label_accuracy", True

    def __init__(self, label_smoothing: float) -> None:
        self._smoothing = label_smoothing

    def names(self, prefix: str) -> list[str]:
        return [f"{prefix}_{name}" for name in ("loss", "label_accuracy", "exact", "map")]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        targets = labels.to(logits.dtype) * (1 - self._smoothing) + 0.5 * self._smoothing
        return F.binary_cross_entropy_with_logits(logits, targets)

    def right(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ((logits > 0) == labels.bool()).all(1)

    def learned_sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ((logits > 0) == labels.bool()).double().mean(1).sum()

    def sums(self, logits: Tensor, labels: Tensor) -> list[Tensor]:
        losses = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none").mean(1)
        return [losses.sum(), self.learned_sum(logits, labels), self.right(logits, labels).sum()]

    def of_all(self, logits: Tensor, labels: Tensor, prefix: str) -> dict[str, float]:
        from sklearn.metrics import average_precision_score  # takes a second to import

        there = labels.bool().any(0)
        if not bool(there.any()) or not bool(logits.isfinite().all()):
            return {f"{prefix}_map": float("nan")}
        scores, truth = logits[:, there].cpu().numpy(), labels[:, there].cpu().numpy()
        return {f"{prefix}_map": float(average_precision_score(truth, scores, average="macro"))}


def answers_for(labels: Tensor | None, num_classes: int, label_smoothing: float) -> Answers:
    """By the labels of a split: a number for each image, or a row of 0 and 1. Without any it is a number."""
    if labels is not None and labels.dim() == 2:
        return ManyLabels(label_smoothing)
    return OneLabel(num_classes, label_smoothing)
