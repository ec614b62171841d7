"""Made-up problems in kinds: `nested-3` is the fourth problem of the kind `nested`, unlike its other problems.

What is drawn for each problem: where the best values lie, how much each parameter matters, what goes together.

- `logs`: eight parameters on log scales, of which few matter; high rates diverge, in part at once (as in TaskSet).
- `nested`: conditions in up to three levels; slow starters end best.
- `images`: a table of 1,000 noisy runs, accuracies counted on 200 to 1,000 images; the nearest row answers.

Curves follow power laws: v(e) = end - (end - start) (1 + e / tau)^-power, seen with noise; a configuration is worth
what its curve would end at without it.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.search.problems import Curves, Params, Problem, nearest_of, parameter_of, sample, with_scale

Entry = Mapping[str, Any]
Space = dict[str, Entry]
MAX_EPOCHS = 52


def _log(low: float, high: float, **more: Any) -> Entry:
    return {"type": "float", "low": low, "high": high, "log": True, **more}


LOGS: Space = {
    "learning_rate": _log(1e-7, 10),
    "one_minus_beta1": _log(1e-4, 1),
    "one_minus_beta2": _log(1e-6, 1),
    "epsilon": _log(1e-10, 1e3),
    "l1": _log(1e-8, 10),
    "l2": _log(1e-8, 10),
    "linear_decay": _log(1e-7, 1e-2),
    "exponential_decay": _log(1e-6, 1e-1),
}

NESTED: Space = {
    "rate": _log(1e-4, 3),
    "decay": _log(1e-6, 1e-1),
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam", "lion"]},
    "momentum": _log(1e-3, 0.5, when={"optimizer": ["sgd"]}),
    "beta2": _log(1e-4, 0.3, when={"optimizer": ["adam", "lion"]}),
    "augment": {"type": "categorical", "choices": ["none", "crop", "strong"]},
    "strength": {"type": "float", "low": 0.0, "high": 1.0, "when": {"augment": ["crop", "strong"]}},
    "mix": {"type": "categorical", "choices": ["none", "blend", "cut"], "when": {"augment": ["strong"]}},
    "mix_alpha": {"type": "float", "low": 0.1, "high": 2.0, "when": {"mix": ["blend", "cut"]}},
}

IMAGES: Space = {
    "rate": _log(1e-4, 3),
    "decay": _log(1e-6, 1e-2),
    "batch": {"type": "int", "low": 16, "high": 512, "log": True},
    "layers": {"type": "int", "low": 1, "high": 6},
    "norm": {"type": "categorical", "choices": ["batch", "layer", "none"]},
    "dropout": {"type": "float", "low": 0.0, "high": 0.8},
}

Shape = Callable[[Params], tuple[float, float, float, float]]
"""Of a configuration: end, start, tau, power; an end of -inf diverges at once, one of NaN at the third epoch."""


def _power_law(shape: tuple[float, float, float, float]) -> Curves:
    end, start, tau, power = shape
    e = np.arange(1, MAX_EPOCHS + 1)
    if math.isfinite(end):
        return end - (end - start) * (1 + e / tau) ** -power
    return np.where(e < (1 if end == -math.inf else 3), start, np.nan)


def _logs(rng: np.random.Generator) -> Shape:
    best_rate, cliff = rng.uniform(-4.0, -1.5), rng.uniform(0.8, 1.8)
    width, epsilon_bends = rng.uniform(1.0, 1.8), rng.uniform(-5, -1)
    best_beta1, best_beta2 = rng.uniform(-2, -0.5), rng.uniform(-4, -1)
    limits = rng.uniform((-4.5, -4.5, -5.0, -3.5), (-1.5, -1.5, -3.5, -2.0))
    weights = rng.dirichlet(np.ones(4)) * 0.6
    floor, power = rng.uniform(0.05, 0.3), rng.uniform(0.5, 1.0)

    def shape(p: Params) -> tuple[float, float, float, float]:
        at = {name: math.log10(value) for name, value in p.items()}
        rate = at["learning_rate"] - 0.7 * max(0.0, at["epsilon"] - epsilon_bends)
        off = rate - best_rate
        if off > cliff:
            return (-math.inf if off > cliff + 1.5 else math.nan), -3.0, 1.0, 1.0
        names = ("l1", "l2", "linear_decay", "exponential_decay")
        over = [max(0.0, at[name] - limit) for name, limit in zip(names, limits, strict=True)]
        loss = floor + 0.35 * (1 - math.exp(-((off / width) ** 2)))
        loss += sum(w * (1 - math.exp(-(x**2))) for w, x in zip(weights, over, strict=True))
        loss += 0.02 * (at["one_minus_beta1"] - best_beta1) ** 2
        loss += 0.006 * (at["one_minus_beta2"] - best_beta2) ** 2
        return -loss, -2.3, 1.5 * 10 ** (0.5 * max(0.0, -off)), power

    return shape


def _nested(rng: np.random.Generator) -> Shape:
    best = {name: rng.uniform(-2.8, -0.8) for name in ("sgd", "adam", "lion")}
    bonus = dict(zip(("sgd", "adam", "lion"), rng.permutation([0.0, 0.02, 0.04]), strict=True))
    at = {name: rng.uniform(0.2, 0.8) for name in ("momentum", "beta2", "strength", "mix_alpha")}
    best_decay, gains = rng.uniform(-5, -2), rng.uniform(0.02, 0.06, 5)
    augments = dict(zip(("none", "crop", "strong"), rng.permutation([0.0, 0.03, 0.05]), strict=True))
    mixes = dict(zip(("none", "blend", "cut"), rng.permutation([0.0, 0.01, 0.03]), strict=True))

    def shape(p: Params) -> tuple[float, float, float, float]:
        off = math.log10(p["rate"]) - best[p["optimizer"]]
        end = 0.5 + 0.25 * math.exp(-((off / 0.8) ** 2)) + bonus[p["optimizer"]] + augments[p["augment"]]
        end += gains[0] * math.exp(-((math.log10(p["decay"]) - best_decay) ** 2))
        inner = {
            "momentum": (math.log10(p.get("momentum", 1.0)) + 3) / 2.7,
            "beta2": (math.log10(p.get("beta2", 1.0)) + 4) / 3.5,
            "strength": p.get("strength", 0.0),
            "mix_alpha": p.get("mix_alpha", 0.0) / 2,
        }
        for gain, (name, place) in zip(gains[1:], inner.items(), strict=True):
            if name in p:
                end += gain * (math.exp(-(((place - at[name]) / 0.25) ** 2)) - 0.3)
        end += mixes[p["mix"]] if "mix" in p else 0.0
        slow = 1 + 1.5 * p.get("strength", 0.0) * (2 if p["augment"] == "strong" else 1)
        return end, 0.1, 1.5 * slow * 10 ** (0.7 * max(0.0, -off)), 1.2

    return shape


def _images(rng: np.random.Generator) -> Shape:
    best_rate, with_batch = rng.uniform(-2.5, -0.7), rng.uniform(0.3, 1.0)
    best_decay, best_dropout, best_layers = rng.uniform(-5, -3), rng.uniform(0, 0.5), rng.uniform(2, 6)
    gains = rng.uniform(0.01, 0.08, 4)
    norms = dict(zip(("batch", "layer", "none"), rng.permutation([0.0, 0.03, 0.06]), strict=True))

    def shape(p: Params) -> tuple[float, float, float, float]:
        off = math.log10(p["rate"]) - with_batch * math.log10(p["batch"] / 64) - best_rate
        end = 0.55 + 0.25 * math.exp(-((off / 0.9) ** 2)) + norms[p["norm"]]
        end -= gains[0] * (math.log10(p["decay"]) - best_decay) ** 2 / 4
        end -= gains[1] * (p["dropout"] - best_dropout) ** 2 * 4
        end -= gains[2] * (p["layers"] - best_layers) ** 2 / 6
        end -= gains[3] * abs(off) * (p["norm"] == "none")
        return max(end, 0.12), 0.1, 2.0 * 10 ** (0.5 * max(0.0, -off)) * (1 + p["dropout"]), 1.1

    return shape


KINDS: dict[str, tuple[Space, Callable[[np.random.Generator], Shape]]] = {
    "logs": (LOGS, _logs),
    "nested": (NESTED, _nested),
    "images": (IMAGES, _images),
}
_NOISE = {"logs": 0.003, "nested": 0.004}


def is_of_a_kind(name: str) -> bool:
    kind, _, number = name.partition("-")
    return kind in KINDS and number.isdigit()


def problem(name: str) -> Problem:
    """`KIND-NUMBER`: the problem of that number, the same each time."""
    kind, _, number = name.partition("-")
    entries, draw = KINDS[kind]
    rng = np.random.default_rng([zlib.crc32(kind.encode()), int(number)])
    shape = draw(rng)
    space = {key: parameter_of(entry) for key, entry in entries.items()}
    if kind == "images":
        return _counted(name, entries, shape, rng)

    def finals(configs: Sequence[Params]) -> Curves:
        return np.array([_power_law(shape(c))[-1] for c in configs])

    def curves(configs: Sequence[Params]) -> Curves:
        return np.array([_power_law(shape(c)) + _noise_of(c, _NOISE[kind]) for c in configs])

    return with_scale(name=name, space=space, curves=curves, finals=finals)


def _noise_of(params: Params, deviation: float) -> Curves:
    """Of each epoch, and half as much of the whole trial."""
    rng = np.random.default_rng(zlib.crc32(repr(sorted(params.items())).encode()))
    return deviation * (rng.normal(size=MAX_EPOCHS) + 0.5 * rng.normal())


def _counted(name: str, entries: Space, shape: Shape, rng: np.random.Generator) -> Problem:
    """A table of runs, each epoch judged by a count of images that are right."""
    space = {key: parameter_of(entry) for key, entry in entries.items()}
    images = int(rng.integers(200, 1001))
    rows = sample(space, 1000, int(rng.integers(2**31)))
    true = np.array([np.clip(_power_law(shape(row)), 0, 1) for row in rows])
    counted = nearest_of(space, rows, rng.binomial(images, true) / images)
    truth = nearest_of(space, rows, true)
    return with_scale(name=name, space=space, curves=counted, finals=lambda configs: truth(configs)[:, -1])
