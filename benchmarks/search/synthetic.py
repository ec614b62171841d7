"""Made-up tables of learning curves, in the JSON that `benchmarks/search_efficiency.py --curves` reads.

    python -m benchmarks.search.synthetic gated --rows 2000 --out gated.json

Two families, unlike LCBench: parameters that exist under conditions, categories, curves that cross, noise.
All curves are v(e) = end - (end - start) (1 + e / tau)^-2 - fade (e / epochs)^2, plus noise per trial and epoch.
"""

import argparse
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.problems import Curves, Params, Problem, parameter_of, sample, with_scale

Entry = Mapping[str, Any]

# A network with gated normalisation: what the gate is decides which parameters exist.
GATED: dict[str, Entry] = {
    "learning_rate": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
    "batch_size": {"type": "int", "low": 32, "high": 512, "step": 32},
    "gate": {"type": "categorical", "choices": ["none", "threshold", "affine", "kernel"]},
    "threshold": {"type": "float", "low": 0.0, "high": 2.0, "when": {"gate": ["threshold", "kernel"]}},
    "affine": {"type": "categorical", "choices": ["shared", "split"], "when": {"gate": ["affine", "kernel"]}},
    "kernel_size": {"type": "int", "low": 1, "high": 9, "step": 2, "when": {"gate": ["kernel"]}},
    "momentum": {"type": "float", "low": 0.001, "high": 0.5, "log": True},
}

# High learning rates start quickly and end badly; every run is noisy.
CROSSING: dict[str, Entry] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "schedule": {"type": "categorical", "choices": ["constant", "cosine", "step"]},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
    "width": {"type": "int", "low": 16, "high": 256, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.8},
    "label_smoothing": {"type": "float", "low": 0.0, "high": 0.3, "step": 0.05},
}

MAX_EPOCHS = 52


def _hill(value: float, at: float, width: float) -> float:
    return math.exp(-(((value - at) / width) ** 2))


def gated_shape(p: Params) -> dict[str, float]:
    """The kernel gate ends best, but only with its own parameters right; it starts the slowest."""
    rate = math.log10(p["learning_rate"] * 128 / p["batch_size"])
    end = 0.55 + 0.2 * _hill(rate, -1.0, 0.8) + 0.06 * _hill(math.log10(p["weight_decay"]), -3.7, 1.0)
    end += 0.03 * _hill(math.log10(p["momentum"]), -1.3, 0.7)
    gain = {"none": 0.0, "threshold": 0.03, "affine": 0.04, "kernel": 0.0}[p["gate"]]
    if "threshold" in p:
        gain += 0.04 * _hill(p["threshold"], 0.9, 0.4)
    if p.get("affine") == "split":
        gain += 0.015
    if "kernel_size" in p:
        gain += 0.05 * _hill(p["kernel_size"], 5, 2)
    slow = {"none": 1.0, "threshold": 1.4, "affine": 1.6, "kernel": 3.0}[p["gate"]]
    return {"start": 0.1, "end": end + gain, "tau": 4.0 * slow * 10 ** max(0.0, -1.0 - rate), "fade": 0.0}


def crossing_shape(p: Params) -> dict[str, float]:
    """The quick starters of the highest rates fade; regularised wide networks end best, after a slow start."""
    rate, decay = math.log10(p["learning_rate"]), math.log10(p["weight_decay"])
    size = math.log(p["width"] / 16) / math.log(16)
    best_rate = {"constant": -2.4, "cosine": -1.6, "step": -2.0}[p["schedule"]]
    end = 60 + 20 * _hill(rate, best_rate, 0.8) + 6 * size + 5 * _hill(decay + rate, -4.5, 1.5)
    end += 4 * size * _hill(p["dropout"], 0.45, 0.25) + 1.0 * _hill(p["label_smoothing"], 0.1, 0.1)
    end += {"constant": 0.0, "cosine": 4.0, "step": 2.0}[p["schedule"]]
    overfit = max(0.0, rate - best_rate) * (1.2 - p["dropout"]) * 8
    tau = 1.5 * 10 ** (0.6 * max(0.0, -1.0 - rate)) * (1 + p["dropout"])
    return {"start": 20.0, "end": end, "tau": tau, "fade": overfit}


FAMILIES: dict[str, tuple[dict[str, Entry], Callable[[Params], dict[str, float]], float]] = {
    "gated": (GATED, gated_shape, 0.004),
    "crossing": (CROSSING, crossing_shape, 0.6),
}


def curve(shape: Mapping[str, float], noise: float, rng: np.random.Generator) -> list[float]:
    """One learning curve; `noise` is the deviation of one epoch, that of the whole trial is half of it."""
    e = np.arange(1, MAX_EPOCHS + 1)
    value = shape["end"] - (shape["end"] - shape["start"]) * (1 + e / shape["tau"]) ** -2
    value -= shape["fade"] * (e / MAX_EPOCHS) ** 2
    value += noise * (rng.normal(size=MAX_EPOCHS) + 0.5 * rng.normal())
    return [float(f"{v:.5g}") for v in value]


def problem(family: str) -> Problem:
    """The family itself, without a table: every configuration has its own curve, noise included."""
    entries, shape, noise = FAMILIES[family]

    def curves(configs: Sequence[Params]) -> Curves:
        return np.array([curve(shape(c), noise, np.random.default_rng(_key(c))) for c in configs])

    space = {name: parameter_of(entry) for name, entry in entries.items()}
    return with_scale(name=family, space=space, curves=curves)


def _key(params: Params) -> int:
    return zlib.crc32(repr(sorted(params.items())).encode())


def make_table(family: str, *, rows: int, seed: int) -> dict[str, Any]:
    """A table of `rows` random configurations of one family."""
    entries, shape, noise = FAMILIES[family]
    configs = sample({name: parameter_of(entry) for name, entry in entries.items()}, rows, seed)
    rng = np.random.default_rng(seed + 1)
    return {
        "name": family,
        "space": entries,
        "rows": [{"params": config, "curve": curve(shape(config), noise, rng)} for config in configs],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.write_text(json.dumps(make_table(args.family, rows=args.rows, seed=args.seed)) + "\n")


if __name__ == "__main__":
    main()
