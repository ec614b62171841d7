"""Trainings whose true accuracy is known: configs differ, and so do seeds, splits, and the images that judge them."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
SPREAD = 2.0
"""Of the images' difficulty, in units of what a network decides by chance: networks err on the same images."""
SPLIT = 0.3
"""Deviation that other training images bring about, in seeds' deviations."""
ROUGH = 0.1
"""Deviation that no smooth model of the config explains, in spreads of the configs."""
EPOCHS = 9
SPACE: dict[str, dict[str, Any]] = {
    "norm.threshold": {"type": "float", "low": 0.0, "high": 0.6},
    "norm.momentum": {"type": "float", "low": 0.01, "high": 0.5, "log": True},
    "norm.similarity_momentum": {"type": "float", "low": 0.01, "high": 1.0, "log": True},
    "norm.centering": {"type": "choice", "values": [True, False]},
    "training.batch_size": {"type": "ordered", "values": [32, 64, 128]},
}
WEIGHTS = (1.0, 0.6, 0.2, 0.3, 0.3)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How large everything is; accuracies from 0 to 1."""

    name: str
    validation: int
    """Images."""
    pool: int
    """Images that are split into training and validation."""
    test: int
    best: float
    """True accuracy of the best config."""
    spread: float
    """By how much a config at the far end is worse."""
    seed_std: float
    crossing: bool = False
    """Whether good configs learn slowly, so that early epochs put bad ones first."""


SCENARIOS = (
    Scenario(name="digits", validation=359, pool=1437, test=360, best=0.985, spread=0.03, seed_std=0.004),
    Scenario(name="CIFAR, small", validation=1000, pool=5000, test=2000, best=0.60, spread=0.06, seed_std=0.012),
    Scenario(name="CIFAR, full", validation=10_000, pool=50_000, test=10_000, best=0.93, spread=0.02, seed_std=0.002),
    Scenario(name="clear winners", validation=1000, pool=5000, test=2000, best=0.90, spread=0.30, seed_std=0.005),
    Scenario(name="all equal", validation=1000, pool=5000, test=2000, best=0.80, spread=0.0, seed_std=0.006),
    Scenario(
        name="crossing", validation=1000, pool=5000, test=2000, best=0.80, spread=0.10, seed_std=0.006, crossing=True
    ),
    Scenario(name="large seed noise", validation=1000, pool=5000, test=2000, best=0.75, spread=0.06, seed_std=0.03),
    Scenario(name="few images", validation=100, pool=500, test=2000, best=0.80, spread=0.06, seed_std=0.01),
)  # fmt: skip


class World:
    """One truth of a scenario. What a training comes to depends on its config, seed and split alone."""

    def __init__(self, scenario: Scenario, number: int) -> None:
        self.scenario = scenario
        self._number = number
        dice = np.random.default_rng([number, zlib.crc32(scenario.name.encode())])
        self._optimum = dice.uniform(0.15, 0.85, len(SPACE))
        self._difficulty = SPREAD * dice.standard_normal(scenario.pool)

    def worth(self, config: Mapping[str, Any]) -> float:
        """True accuracy of a config at the full budget: the mean over seeds, splits and images."""
        return self.scenario.best - self.scenario.spread * self._badness(config)

    def curve(self, config: Mapping[str, Any]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """((epochs,) validation accuracies of a training, which of its validation images are right at the end)."""
        dice = self._dice("training", config)
        end = self._ability(config, dice)
        v = self._held_out(config) + dice.standard_normal(self.scenario.validation)
        rate = (2.0 if self._badness(config) < 0.5 else 9.0) if self.scenario.crossing else 4.0
        epochs = np.arange(1, EPOCHS + 1) / EPOCHS
        true = end - 0.5 * end * (np.exp(-rate * epochs) - math.exp(-rate))
        places = _places(true)
        order = np.sort(v)
        return np.searchsorted(order, places) / len(v), v < places[-1]

    def tests(self, config: Mapping[str, Any], count: int) -> Floats:
        """(count,) test accuracies of trainings with new seeds, on the config's own split."""
        dice = self._dice("tests", config)
        truths = self._truth(config) + self.scenario.seed_std * dice.standard_normal(count)
        return dice.binomial(self.scenario.test, _clipped(truths)) / self.scenario.test

    # ---------------------------------------------------------------- inside

    def _ability(self, config: Mapping[str, Any], dice: np.random.Generator) -> float:
        return float(_clipped(self._truth(config) + self.scenario.seed_std * dice.standard_normal()))

    def _truth(self, config: Mapping[str, Any]) -> float:
        """Of trainings on the config's own split."""
        split = np.random.default_rng(self._key("split", {**config, "seed": 0}))
        return self.worth(config) + SPLIT * self.scenario.seed_std * float(split.standard_normal())

    def _held_out(self, config: Mapping[str, Any]) -> Floats:
        order = np.random.default_rng([self._number, config["dataset"]["split_seed"]]).permutation(
            self.scenario.pool
        )
        return self._difficulty[order[: self.scenario.validation]]

    def _badness(self, config: Mapping[str, Any]) -> float:
        """0 to about 1."""
        norm = config["norm"]
        if norm["name"] == "bn":
            return 0.4
        places = (
            norm["threshold"] / 0.6,
            math.log(norm["momentum"] / 0.01) / math.log(50),
            math.log(norm["similarity_momentum"] / 0.01) / math.log(100),
            float(norm["centering"]),
            math.log2(config["training"]["batch_size"] / 32) / 2,
        )
        smooth = sum(
            weight * (place - optimum) ** 2
            for weight, place, optimum in zip(WEIGHTS, places, self._optimum, strict=True)
        )
        plain = {**config, "seed": 0, "dataset": None}
        rough = np.random.default_rng(self._key("rough", plain)).uniform(0, math.sqrt(12) * ROUGH)
        return smooth / sum(WEIGHTS) * 2 + float(rough)

    def _dice(self, purpose: str, config: Mapping[str, Any]) -> np.random.Generator:
        return np.random.default_rng(self._key(purpose, config))

    def _key(self, purpose: str, config: Mapping[str, Any]) -> list[int]:
        text = json.dumps(
            [config["norm"], config["training"], config["seed"], config["dataset"]], sort_keys=True
        )
        return [self._number, zlib.crc32(purpose.encode()), zlib.crc32(text.encode())]


def _clipped(truths: Any) -> Any:
    return np.clip(truths, 0.001, 0.999)


def _places(true: Floats) -> Floats:
    """Abilities that give so large a share of images right."""
    return np.asarray(stats.norm.ppf(_clipped(true)) * math.hypot(1.0, SPREAD))
