"""Made-up problems with a threshold: what the profile over it looks like is known, and hard to see.

- `ridge`: the best threshold depends on the momentum.
- `cliff`: all is well up to a threshold where the gate starves.
- `crossing`: low thresholds start quickly and end badly.
- `noise`: the threshold does nothing, and chance is large.
- `conditional`: the threshold exists where the gate is on alone, and pays there in a small range.

Values are accuracies on EXAMPLES images; seeds differ, too. v(e) = end - (end - start) (1 + e / tau)^-1.5.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.landscape.truth import Task
from benchmarks.search.problems import Curves, Params, parameter_of, with_scale

EXAMPLES = 2000
SEEDS = 0.004
"""Standard deviation of a trial's end over seeds; four times that in `noise`."""
MAX_EPOCHS = 52
SPACE: dict[str, Mapping[str, Any]] = {
    "threshold": {"type": "float", "low": 0.0, "high": 0.8},
    "momentum": {"type": "float", "low": 0.01, "high": 0.5, "log": True},
    "learning_rate": {"type": "float", "low": 0.01, "high": 1.0, "log": True},
    "weight_decay": {"type": "float", "low": 1e-5, "high": 1e-2, "log": True},
    "scaling": {"type": "categorical", "choices": ["none", "instance", "representative"]},
    "batch_size": {"type": "int", "low": 32, "high": 256, "step": 32},
}
Shape = Callable[[Params], tuple[float, float]]
"""Params -> (how good the end is beside what the others do, tau)."""


def _others(p: Params) -> float:
    rate = math.log10(p["learning_rate"] * 64 / p["batch_size"])
    found = 0.80 - 0.08 * (rate + 1) ** 2 - 0.02 * (math.log10(p["weight_decay"]) + 3.3) ** 2
    return found + {"none": 0.0, "instance": 0.01, "representative": 0.02}[p["scaling"]]


def _momentum(p: Params) -> float:
    """From 0 to 1."""
    return math.log(p["momentum"] / 0.01) / math.log(50)


def _ridge(p: Params) -> tuple[float, float]:
    return -0.5 * (p["threshold"] - 0.1 - 0.5 * _momentum(p)) ** 2 - 0.03 * p["threshold"], 3.0


def _cliff(p: Params) -> tuple[float, float]:
    return -0.15 / (1 + math.exp(-(p["threshold"] - 0.55) / 0.03)), 3.0


def _crossing(p: Params) -> tuple[float, float]:
    return 0.08 * p["threshold"] / 0.8, 1.0 + 12 * p["threshold"]


def _noise(p: Params) -> tuple[float, float]:
    return 0.02 * _momentum(p), 3.0


def _conditional(p: Params) -> tuple[float, float]:
    if "threshold" not in p:
        return 0.0, 2.0
    return 0.05 * math.exp(-(((p["threshold"] - 0.25) / 0.1) ** 2)) - 0.02, 4.0


FAMILIES: dict[str, Shape] = {
    "ridge": _ridge,
    "cliff": _cliff,
    "crossing": _crossing,
    "noise": _noise,
    "conditional": _conditional,
}


def family(name: str) -> Task:
    """The task of that name, with the threshold's profile to be found."""
    entries = dict(SPACE)
    if name == "conditional":
        entries = {"gate": {"type": "categorical", "choices": ["on", "off"]}} | entries
        entries["threshold"] = {**entries["threshold"], "when": {"gate": ["on"]}}
    seeds = SEEDS * (4 if name == "noise" else 1)

    def ends(configs: Sequence[Params]) -> np.ndarray:
        return np.array([_others(p) + FAMILIES[name](p)[0] for p in configs])

    def curves(configs: Sequence[Params]) -> Curves:
        return np.array([_curve(name, p, end, seeds) for p, end in zip(configs, ends(configs), strict=True)])

    space = {key: parameter_of(entry) for key, entry in entries.items()}
    problem = with_scale(name=name, space=space, curves=curves)
    return Task(problem=problem, over="threshold", finals=ends, noise=math.sqrt(0.8 * 0.2 / EXAMPLES))


def _curve(name: str, p: Params, end: float, seeds: float) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(repr(sorted(p.items())).encode()))
    e = np.arange(1, MAX_EPOCHS + 1)
    tau = FAMILIES[name](p)[1]
    # What is left at the last epoch is taken off, so that `end` is what is reached there.
    left = (1 + e / tau) ** -1.5 - (1 + MAX_EPOCHS / tau) ** -1.5
    mean = np.clip(end - (end - 0.1) * left + seeds * rng.normal(), 0.02, 0.98)
    return rng.binomial(EXAMPLES, mean) / EXAMPLES
