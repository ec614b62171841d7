"""A task for tests of several workers: a tiny network that exchanges gradients for real, and may come to harm."""

import os
import signal
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from ubn_sweep.records.metrics import Metric
from ubn_sweep.training.models.build import apply_norm
from ubn_sweep.training.network import NetworkConfig, NetworkRun, NetworkTask
from ubn_sweep.training.seeds import generator_for


class PairRun(NetworkRun):
    def learn(self) -> None:
        note(f"{self.config.seed} {self.epoch} {self.share.rank} {os.getpid()}")
        harm(self.config.seed, self.epoch, self.share.rank)
        x, y = rows()
        for batch in self.batches(len(x)):
            self.optimizer.zero_grad()
            (self.network(x[batch]) - y[batch]).square().mean().backward()
            self.optimizer.step()
        time.sleep(float(os.environ.get("TEST_EPOCH_S", "0")))

    def judge(self, part: str) -> dict[str, float]:
        x, y = rows()
        error = (self.network(x) - y).square().mean().item()
        # Early stopping compares the seeds' own quality: some trials end early whatever the network learns.
        return {f"{part}_error": error, "val_top1": (self.config.seed * 37 % 11) / 11 - 0.01 / self.epoch}


class Pairs(NetworkTask):
    Config, Run = NetworkConfig, PairRun
    metrics = (Metric(name="val_top1", label="quality", direction="max"),)

    def network(self, config: NetworkConfig) -> nn.Module:
        layers = [nn.Unflatten(1, (4, 1, 1)), nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8), nn.ReLU()]
        return apply_norm(nn.Sequential(*layers, nn.Conv2d(8, 1, 1), nn.Flatten(0)), config.norm)


def rows() -> tuple[Tensor, Tensor]:
    x = torch.randn(64, 4, generator=generator_for(0, "rows"))
    return x, x.sum(1).sin()


def note(line: str) -> None:
    path = os.environ.get("TEST_EPOCH_LOG")
    if path is not None:
        with Path(path).open("a") as file:
            file.write(line + "\n")


def harm(seed: int, epoch: int, rank: int) -> None:
    """What a file beside the log says for this seed and epoch, as in `3 2 kill, 4 2 raise`: once."""
    log = os.environ.get("TEST_EPOCH_LOG")
    plan = None if log is None else Path(log).with_suffix(".harm")
    if plan is None or not plan.exists():
        return
    for one in plan.read_text().split(", "):
        its_seed, its_epoch, what = one.split()
        marker = plan.with_suffix(f".{its_seed}")
        its_rank = 0 if what == "interrupt" else 1
        if (int(its_seed), int(its_epoch), its_rank) != (seed, epoch, rank) or marker.exists():
            continue
        marker.touch()
        if what == "interrupt":
            raise KeyboardInterrupt
        if what == "raise":
            raise ValueError(f"boom in epoch {epoch}")
        os.kill(os.getpid(), signal.SIGKILL if what == "kill" else signal.SIGSTOP)
