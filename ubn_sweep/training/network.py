"""The commonest task of one's own: one network, one optimizer, one pass over the data an epoch.

Whoever needs more (several networks, a schedule, other devices) writes a `Run` and a `Task` (docs/tasks.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ubn_sweep.errors import UserError
from ubn_sweep.training.config import NormConfig, OptimizerConfig, TrainingConfig
from ubn_sweep.training.distributed.group import own_share
from ubn_sweep.training.distributed.reduce import take_buffers_of_the_first
from ubn_sweep.training.distributed.replicas import average_before_steps
from ubn_sweep.training.norms import NORM_CHOICES, NORM_EFFECTS, NORM_STARTS
from ubn_sweep.training.optimization import (
    at_batch_size,
    build_optimizer,
    learning_rate,
    parameter_groups,
)
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.run import Run
from ubn_sweep.training.seeds import derive_seed, generator_for, global_seed
from ubn_sweep.training.share import joint_batch
from ubn_sweep.training.task import Task

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What every such config has; a subclass adds keys of its own."""

    norm: NormConfig = field(default_factory=NormConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    provenance: Provenance | None = None


class NetworkRun(Run):
    """Trains one network with one optimizer on the processor. A subclass says how to `learn` and to `judge`.

    The learning rate follows the optimizer's schedule and warm-up, set anew for each epoch.
    What layers draw (dropout) follows from seed and epoch, so that a resumed run is the same as one that never stopped.

    Several workers may train it together: each takes its part of `batches`, gradients are averaged before each step
    of `optimizer`, and all judge the same.

    Args:
        task: Its `network(config)` builds what is trained; the same weights for the same seed.
        config: The trial's.
        hold_out: False trains on train + validation: the final training.
    """

    def __init__(self, task: NetworkTask, config: Any, *, hold_out: bool) -> None:
        self.config, self.hold_out = config, hold_out
        with global_seed(derive_seed(config.seed, "network"), CPU):
            self.network = task.network(config)
        self.share = own_share()
        images = config.training.batch_size * self.share.count
        self._optimizer_config = at_batch_size(config.optimizer, images)
        groups = parameter_groups(config.optimizer, self.network)
        self.optimizer = build_optimizer(self._optimizer_config, groups)
        average_before_steps(self.optimizer)
        self._shared = self.share.is_whole

    def learn(self) -> None:
        """One pass over the training data, with the network in training mode; `self.epoch` counts it already."""
        raise NotImplementedError(f"{type(self).__name__} must say how it learns")

    def judge(self, part: str) -> dict[str, float]:
        """The metrics on `train`, `val` or `test`, with the network in evaluation mode and without gradients.

        None on `val` where nothing is held out.
        """
        raise NotImplementedError(f"{type(self).__name__} must say how it is judged")

    def batches(self, examples: int) -> Iterator[Tensor]:
        """Which examples make each batch of this epoch, (n,) of indices, in an order that seed and epoch decide.

        Of several workers each gets as many of a joint batch as the others: what does not go into equal parts, or has
        fewer than two for each, is left out. Each epoch shuffles anew, so that none is lost for good.
        """
        self._shared = True
        order = torch.randperm(examples, generator=generator_for(self.config.seed, "order", self.epoch))
        count = self.share.count
        for joint in order.split(self.config.training.batch_size * count):
            if self.share.is_whole:
                yield joint
            elif len(joint) >= 2 * count:
                yield self.share.of(joint[: len(joint) // count * count])

    def train_epoch(self) -> dict[str, float]:
        self._set_learning_rate()
        self.epoch += 1
        self.network.train()
        drawn = "learn" if self.share.is_first else f"learn of worker {self.share.rank}"
        with global_seed(derive_seed(self.config.seed, drawn, self.epoch), CPU):
            self.learn()
        if not self._shared:
            raise UserError(
                f"workers: {type(self).__name__}.learn takes no batches from `self.batches`, so that all "
                f"{self.share.count} would train on the same: let it, or take one worker"
            )
        take_buffers_of_the_first([self.network])
        counted = joint_batch(self.share, self.config.training.batch_size)
        return self._judged("train") | self.evaluate_validation() | counted

    def evaluate_validation(self) -> dict[str, float]:
        return self._judged("val") if self.hold_out else {}

    def evaluate_test(self) -> dict[str, float]:
        return self._judged("test")

    @property
    def diverged(self) -> bool:
        return not all(bool(parameter.isfinite().all()) for parameter in self.network.parameters())

    def save(self, folder: Path) -> None:
        parts = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**parts, "epoch": self.epoch}, folder / "run.pt")

    def load(self, folder: Path) -> None:
        state = torch.load(folder / "run.pt", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]

    def _set_learning_rate(self) -> None:
        rate = learning_rate(
            self._optimizer_config, self.epoch, steps_per_epoch=1, epochs=self.config.training.epochs
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _judged(self, part: str) -> dict[str, float]:
        self.network.eval()
        with torch.no_grad():
            return self.judge(part)


class NetworkTask(Task):
    """A task whose runs are `Run`, a NetworkRun, of what `network` builds; its config has a section `norm`."""

    Run: type[NetworkRun]
    several_workers = True
    effects, warm_starts, choices, columns = NORM_EFFECTS, NORM_STARTS, NORM_CHOICES, ("norm",)

    def network(self, config: Any) -> nn.Module:
        """What is trained, from its beginning."""
        raise NotImplementedError(f"{type(self).__name__} must say what its network is")

    def start(self, config: Any, *, threads: int | None = None, hold_out: bool = True) -> NetworkRun:
        if threads is not None:
            torch.set_num_threads(threads)
        return self.Run(self, config, hold_out=hold_out)

    def load_model(self, config: Any, folder: Path) -> nn.Module:
        """The trained network, in evaluation mode."""
        network = self.network(config)
        network.load_state_dict(torch.load(folder / "run.pt", weights_only=True)["network"])
        return network.eval()
