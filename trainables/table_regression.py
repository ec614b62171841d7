"""A task of one's own: regression on a table, judged by its error. `search_spaces/table_regression.yaml` sweeps it.

A small network predicts the course of diabetes from ten measurements (scikit-learn's table of 442 patients). Its hidden
units are maps of one pixel, (N, hidden, 1, 1), which UBN normalises. Copy the file, and change what a row is.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from ubn_sweep.records.metrics import Metric
from ubn_sweep.training.config import NormConfig, OptimizerConfig, TrainingConfig
from ubn_sweep.training.models.build import apply_norm
from ubn_sweep.training.norms import NORM_CHOICES, NORM_EFFECTS, NORM_STARTS
from ubn_sweep.training.optimization import build_optimizer
from ubn_sweep.training.provenance import Provenance
from ubn_sweep.training.run import Run
from ubn_sweep.training.seeds import generator_for, global_seed
from ubn_sweep.training.task import Task


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    hidden: int = 32


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    net: NetConfig = field(default_factory=NetConfig)
    norm: NormConfig = field(default_factory=NormConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    provenance: Provenance | None = None


class Regression(Run):
    def __init__(self, config: TableConfig, *, hold_out: bool) -> None:
        self.config = config
        self.rows = rows(hold_out=hold_out)
        self.net = network(config)
        self.optimizer = build_optimizer(config.optimizer, self.net.parameters())

    def train_epoch(self) -> dict[str, float]:
        self.epoch += 1
        self.net.train()
        x, y = self.rows["train"]
        order = torch.randperm(len(x), generator=generator_for(self.config.seed, "order", self.epoch))
        for batch in order.split(self.config.training.batch_size):
            self.optimizer.zero_grad()
            (self.net(x[batch]) - y[batch]).square().mean().backward()
            self.optimizer.step()
        return {f"{part}_rmse": self.rmse(part) for part in ("train", "val") if part in self.rows}

    @property
    def diverged(self) -> bool:
        return not all(bool(parameter.isfinite().all()) for parameter in self.net.parameters())

    def evaluate_test(self) -> dict[str, float]:
        return {"test_rmse": self.rmse("test")}

    def rmse(self, part: str) -> float:
        x, y = self.rows[part]
        self.net.eval()
        with torch.no_grad():
            return (self.net(x) - y).square().mean().sqrt().item()

    def save(self, folder: Path) -> None:
        state = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "epoch": self.epoch}
        torch.save(state, folder / "run.pt")

    def load(self, folder: Path) -> None:
        state = torch.load(folder / "run.pt", weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]


class TableRegression(Task):
    Config = TableConfig
    metrics = (Metric(name="val_rmse", label="validation RMSE", direction="min", test="test_rmse"),)
    told = (Metric(name="train_rmse", label="training RMSE", direction="min"),)
    effects, warm_starts, choices, columns = NORM_EFFECTS, NORM_STARTS, NORM_CHOICES, ("norm",)

    def start(self, config: TableConfig, *, threads: int | None = None, hold_out: bool = True) -> Run:
        return Regression(config, hold_out=hold_out)

    def subject(self, config: TableConfig) -> str:
        return f"a network of {config.net.hidden} units on the diabetes table"

    def load_model(self, config: TableConfig, folder: Path) -> nn.Module:
        net = network(config)
        net.load_state_dict(torch.load(folder / "run.pt", weights_only=True)["net"])
        return net.eval()


def network(config: TableConfig) -> nn.Module:
    """x (N, 10) -> (N,)"""
    hidden = config.net.hidden
    with global_seed(config.seed, torch.device("cpu")):
        first = [nn.Unflatten(1, (10, 1, 1)), nn.Conv2d(10, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU()]
        second = [nn.Conv2d(hidden, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU()]
        return apply_norm(nn.Sequential(*first, *second, nn.Conv2d(hidden, 1, 1), nn.Flatten(0)), config.norm)


def rows(*, hold_out: bool) -> dict[str, tuple[Tensor, Tensor]]:
    """Part -> x (n, 10) and y (n,), y with mean 0 and variance 1 over the table; the same rows always."""
    table = load_diabetes(scaled=False)
    data = torch.from_numpy(table.data), torch.from_numpy(table.target)[:, None]
    x, y = (((part - part.mean(0)) / part.std(0)).float() for part in data)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    parts = {"train": order[:256], "val": order[256:342]} if hold_out else {"train": order[:342]}
    return {name: (x[part], y[part, 0]) for name, part in {**parts, "test": order[342:]}.items()}
