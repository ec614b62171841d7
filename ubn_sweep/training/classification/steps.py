"""What happens between a batch and the weights: gradients gathered and clipped, the optimizer's step, the average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.distributed.replicas import without_exchange
from ubn_sweep.training.optimization import (
    at_batch_size,
    build_optimizer,
    learning_rate,
    parameter_groups,
)
from ubn_sweep.training.share import Ends, Share


class Steps:
    """Moves a model's weights, as the sections `optimizer` and `training` of a config say.

    Args:
        replica: the model as a worker of several trains it, or the model itself.
        share: the worker's.
    """

    def __init__(
        self,
        config: ClassificationConfig,
        model: nn.Module,
        device: torch.device,
        *,
        replica: nn.Module,
        share: Share,
    ) -> None:
        self.config = config
        self.model = model
        self._replica = replica
        self._share = share
        images = config.training.batch_size * config.training.accumulate * share.count
        self._optimizer_config = at_batch_size(config.optimizer, images)
        self.optimizer = build_optimizer(self._optimizer_config, parameter_groups(config.optimizer, model))
        # Without float16 it hands everything through as it is.
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.training.precision == "float16")
        decay = config.training.ema_decay
        self._average = (
            None
            if decay is None
            else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        )

    @property
    def judged(self) -> nn.Module:
        """What is validated and kept: the average of the weights where there is one, else the model itself."""
        return self.model if self._average is None else self._average.module

    def learn(self, loss_of: Callable[[], Tensor], ends: Ends, position: int, epoch: int) -> float:
        """One batch of an epoch, by its position; returns the learning rate.

        loss_of: gives the mean loss of the worker's part of the batch. Gradients of `accumulate` batches, and of all
        workers, add up to that of their images' mean.
        """
        accumulate, training = self.config.training.accumulate, self.config.training
        first = position - position % accumulate
        sizes = [end - begin for begin, end in ends[first : first + accumulate]]
        step = (epoch - 1) * len(ends) + position
        lr = learning_rate(self._optimizer_config, step, steps_per_epoch=len(ends), epochs=training.epochs)
        is_last = position - first == len(sizes) - 1
        with without_exchange(self._replica, last=is_last):
            loss = loss_of()
            if position == first:
                self.optimizer.zero_grad()
            weight = self._weight(sizes[position - first]) / sum(sizes)
            self._scaler.scale(loss * weight).backward()
        if is_last:
            self._step(lr)
        return lr

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self._scaler.is_enabled():
            state["scaler"] = self._scaler.state_dict()
        if self._average is not None:
            state["average"] = self._average.module.state_dict()
            state["averaged_steps"] = int(self._average.n_averaged)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.module.load_state_dict(state["average"])
            self._average.n_averaged.fill_(state["averaged_steps"])

    def _weight(self, size: int) -> int:
        """Of the mean loss of the worker's part of a batch: its images, times the workers, over whom gradients are
        averaged."""
        begin, end = self._share.bounds(size)
        return (end - begin) * self._share.count

    def _step(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        clip_norm = self.config.training.clip_norm
        if clip_norm is not None:
            self._scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        if self._average is not None:
            self._average.update_parameters(self.model)
