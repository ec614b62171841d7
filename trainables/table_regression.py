"""A task of one's own: regression on a table, judged by its error. `search_spaces/table_regression.yaml` sweeps it.

A small network predicts the course of diabetes from ten measurements (scikit-learn's table of 442 patients). Its hidden
units are maps of one pixel, (N, hidden, 1, 1), which UBN normalises. Copy the file, and change what a row is.
"""

from dataclasses import dataclass, field
from functools import cache

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from ubn_sweep.records.metrics import Metric
from ubn_sweep.training.models.build import apply_norm
from ubn_sweep.training.network import NetworkConfig, NetworkRun, NetworkTask


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    hidden: int = 32


@dataclass(frozen=True, kw_only=True)
class TableConfig(NetworkConfig):
    net: NetConfig = field(default_factory=NetConfig)


class Regression(NetworkRun):
    def learn(self) -> None:
        x, y = rows("train", hold_out=self.hold_out)
        for batch in self.batches(len(x)):
            self.optimizer.zero_grad()
            (self.network(x[batch]) - y[batch]).square().mean().backward()
            self.optimizer.step()

    def judge(self, part: str) -> dict[str, float]:
        x, y = rows(part, hold_out=self.hold_out)
        return {f"{part}_rmse": (self.network(x) - y).square().mean().sqrt().item()}


class TableRegression(NetworkTask):
    Config, Run = TableConfig, Regression
    metrics = (Metric(name="val_rmse", label="validation RMSE", direction="min", test="test_rmse"),)
    told = (Metric(name="train_rmse", label="training RMSE", direction="min"),)

    def network(self, config: TableConfig) -> nn.Module:
        """x (N, 10) -> (N,)"""
        hidden = config.net.hidden
        first = [nn.Unflatten(1, (10, 1, 1)), nn.Conv2d(10, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU()]
        second = [nn.Conv2d(hidden, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU()]
        return apply_norm(nn.Sequential(*first, *second, nn.Conv2d(hidden, 1, 1), nn.Flatten(0)), config.norm)

    def subject(self, config: TableConfig) -> str:
        return f"a network of {config.net.hidden} units on the diabetes table"


@cache
def rows(part: str, *, hold_out: bool) -> tuple[Tensor, Tensor]:
    """x (n, 10) and y (n,) of `train`, `val` or `test`, mean 0 and variance 1 over the table; the same rows always."""
    table = load_diabetes(scaled=False)
    data = torch.from_numpy(table.data), torch.from_numpy(table.target)[:, None]
    x, y = (((column - column.mean(0)) / column.std(0)).float() for column in data)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train = order[:256] if hold_out else order[:342]
    chosen = {"train": train, "val": order[256:342], "test": order[342:]}[part]
    return x[chosen], y[chosen, 0]
