"""One seed of a training run: a network, its optimizer, and what an epoch does to them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ubn_sweep.training.classification.answers import answers_for
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.classification.steps import Steps
from ubn_sweep.training.condensation import CondensationMeter, condensation_before_norms
from ubn_sweep.training.data.images import Batch, Images, Splits, batch_ends
from ubn_sweep.training.data.shared import evaluation_batches, training_batches
from ubn_sweep.training.device import numerics
from ubn_sweep.training.distributed.group import own_share
from ubn_sweep.training.distributed.reduce import (
    all_agree,
    put_together,
    summed,
    take_buffers_of_the_first,
)
from ubn_sweep.training.distributed.replicas import replicated
from ubn_sweep.training.models.build import apply_norm, build_model
from ubn_sweep.training.models.weights import load_weights
from ubn_sweep.training.seeds import derive_seed, generator_for, global_seed

STEPS_BETWEEN_CHECKS = {"cpu": 1, "cuda": 32}
"""Reading the loss makes the host wait for a CUDA device, so divergence is looked for only so often."""
BATCHES_BETWEEN_AGREEMENTS = 32
"""Several workers must end a diverged epoch at the same batch; to agree on that costs an exchange."""


class Repeat:
    """Trains one seed."""

    def __init__(
        self, config: ClassificationConfig, dataset: Splits, seed: int, device: torch.device
    ) -> None:
        self.config = config
        self.dataset = dataset
        self.seed = seed
        self.device = device
        self.diverged = False
        self.correct: Tensor | None = None
        """Which images of the last evaluation were right, (images,) of bool, in their order; None where it diverged."""
        with global_seed(derive_seed(seed, "weights"), device):
            model = build_model(config.model, dataset.num_classes, dataset.image_size_px, dataset.in_channels)
            if config.model.weights is not None:
                load_weights(model, config.model.weights)
            self.model = apply_norm(model, config.norm).to(device)
        if config.training.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self._share = own_share()
        replica = replicated(self.model)
        self._network = torch.compile(replica) if config.training.compile else replica
        self._steps = Steps(config, self.model, device, replica=replica, share=self._share)
        self._condensation = CondensationMeter(self.model)
        labels = getattr(dataset.train, "labels", None)  # images of one's own need not show theirs
        self._answers = answers_for(labels, dataset.num_classes, config.optimizer.label_smoothing)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Trains epoch `epoch`, from 1. A loss or parameter that is not finite ends it early, as diverged."""
        training, share = self.config.training, self._share
        examples = batch_ends(len(self.dataset.train), training.batch_size, share)
        self.model.train()
        self._condensation.start_epoch()
        totals = torch.zeros(2, device=self.device, dtype=torch.float64)
        batches = training_batches(
            self.dataset.train, training.batch_size, seed=self.seed, epoch=epoch, share=share
        )
        lr, check_every = 0.0, self._steps_between_checks()
        drawn = "layers" if share.is_first else f"layers of worker {share.rank}"
        with global_seed(derive_seed(self.seed, drawn, epoch), self.device), self._numerics():
            for position, batch in enumerate(batches):
                loss_of = functools.partial(self._mean_loss, batch, totals)
                lr = self._steps.learn(loss_of, examples, position, epoch)
                if position % check_every == check_every - 1 and not all_agree(_finite(totals), self.device):
                    break
        take_buffers_of_the_first(dict.fromkeys((self.model, self._steps.judged)))
        loss, correct = (summed(totals) / sum(end - begin for begin, end in examples)).tolist()
        self.diverged = not (math.isfinite(loss) and _all_finite(self.model))
        metrics = {"train_loss": loss, self._answers.learned: correct, "lr": lr, **self._condensation.read()}
        if self.diverged:
            metrics |= {"train_loss": math.nan, self._answers.learned: math.nan}
        return metrics

    def evaluate(self, images: Images, prefix: str) -> dict[str, float]:
        """<prefix>_loss, <prefix>_top1 and, of six classes or more, <prefix>_top5: shares of the images.

        Where they have any number of labels: <prefix>_loss, _label_accuracy, _exact and _map.
        """
        judged = self._steps.judged.eval()
        # A replica's forward pass is an exchange, and the workers have different numbers of batches.
        network = self._network if judged is self.model and self._share.is_whole else judged
        answers, names = self._answers, self._answers.names(prefix)
        summed_up = names[:-1] if answers.needs_all else names
        totals = torch.zeros(len(summed_up), device=self.device, dtype=torch.float64)
        correct = [torch.zeros(0, device=self.device, dtype=torch.bool)]
        seen: list[tuple[Tensor, Tensor]] = []
        with torch.inference_mode(), self._numerics():
            size = self.config.training.eval_batch_size
            for pixels, labels in evaluation_batches(images, size, share=self._share):
                logits = self._forward(network, pixels)
                correct.append(answers.right(logits, labels))
                totals += torch.stack([value.double() for value in answers.sums(logits, labels)])
                if answers.needs_all:
                    seen.append((logits, labels))
        metrics = dict(zip(summed_up, (summed(totals) / len(images)).tolist(), strict=True))
        if answers.needs_all:
            metrics |= answers.of_all(*self._all_of(seen, len(images)), prefix)
        if math.isfinite(metrics[f"{prefix}_loss"]):
            self.correct = put_together(torch.cat(correct), len(images), self._share)
            return metrics
        self.diverged, self.correct = True, None
        return self.unknown(prefix)

    def measure_condensation(self) -> dict[str, float]:
        """condensation, and condensation/<layer>: of the fixed batch of training images; none where none is asked for.

        The network is in evaluation mode, so that measuring it moves nothing. All repeats, and all trials that share
        a data set, see the same images.
        """
        train = self.dataset.train
        images = min(self.config.training.condensation_images, len(train))
        if images == 0 or self.diverged or not self._share.is_first:
            return {}
        generator = generator_for(self.config.dataset.split_seed, "condensation")
        pixels, _ = train.take(torch.randperm(len(train), generator=generator)[:images])
        self.model.eval()
        with torch.inference_mode(), self._numerics(), condensation_before_norms(self.model) as measured:
            self._forward(self.model, pixels)
        return measured.read()

    def unknown(self, prefix: str) -> dict[str, float]:
        """What evaluate returns, as NaN."""
        return dict.fromkeys(self._answers.names(prefix), math.nan)

    @property
    def one_label(self) -> bool:
        """Whether each image has one, and not any number."""
        return not self._answers.needs_all

    def state_dict(self) -> dict[str, Any]:
        return self._steps.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps.load_state_dict(state)

    def _mean_loss(self, batch: Batch, totals: Tensor) -> Tensor:
        """The batch's mean loss, to learn from; its summed loss and correct answers are added to `totals` (2,)."""
        pixels, labels = batch
        logits = self._forward(self._network, pixels)
        loss = self._answers.loss(logits, labels)
        self._condensation.count_batch()
        totals += torch.stack(
            [loss.detach() * len(labels), self._answers.learned_sum(logits.detach(), labels)]
        )
        return loss

    def _all_of(self, seen: list[tuple[Tensor, Tensor]], images: int) -> tuple[Tensor, Tensor]:
        """Logits and labels of all images, of all workers."""
        classes = self.dataset.num_classes
        logits = torch.cat([torch.zeros(0, classes, device=self.device), *(part[0] for part in seen)])
        labels = torch.cat(
            [torch.zeros(0, classes, device=self.device, dtype=torch.uint8), *(part[1] for part in seen)]
        )
        return put_together(logits, images, self._share), put_together(labels, images, self._share)

    def _forward(self, network: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
        training = self.config.training
        if training.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        half = torch.float16 if training.precision == "float16" else torch.bfloat16
        with torch.autocast(self.device.type, dtype=half, enabled=training.precision != "float32"):
            logits = network(pixels)
        return logits.float()

    def _steps_between_checks(self) -> int:
        return STEPS_BETWEEN_CHECKS[self.device.type] if self._share.is_whole else BATCHES_BETWEEN_AGREEMENTS

    def _numerics(self) -> AbstractContextManager[None]:
        training = self.config.training
        return numerics(self.device, deterministic=training.deterministic, tf32=training.tf32)


def _finite(totals: Tensor) -> bool:
    return bool(totals.isfinite().all())


def _all_finite(model: nn.Module) -> bool:
    tensors = (*model.parameters(), *model.buffers())
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())
