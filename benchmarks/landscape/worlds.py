"""Made-up truths for the quickstart's own sweep: what its trials come to, and what a report says of that.

- `nothing`: no parameter matters; trials end at 90%, with a standard deviation of 2 points.
- `crossing`: nothing matters, and the first epochs say little of the end.
- `others`: momentum, scaling and batch size matter, and nothing else: not the threshold, not the gate.
- `cliff`: above a threshold of 0.5 ten points are lost; nothing else matters.

Curves: end - (end - 0.1) * (1 + epoch / tau)^-1.5, counted on 898 images.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ubn_sweep import schema
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.claims import claims
from ubn_sweep.landscape.withholding import sure
from ubn_sweep.nulls.original import Original
from ubn_sweep.nulls.replay import replayed
from ubn_sweep.nulls.worlds import Fate
from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.observations import observations
from ubn_sweep.sweep.spec.loading import load_spec

SPEC = Path(__file__).parents[2] / "search_spaces" / "quickstart.yaml"
IMAGES = 898
METHODS: dict[str, tuple[str, ...]] = {
    "random": ("search.goal=best", "search.sampler=random"),
    "auto": ("search.goal=best",),
    "map": ("search.goal=map",),
}
"""Name -> what is set in the quickstart's spec. All have an audit every 12th trial, which a map has more often."""
MATTER = {
    "nothing": (),
    "crossing": (),
    "others": ("norm.momentum", "norm.scaling", "training.batch_size"),
    "cliff": ("norm.threshold",),
}
Params = Mapping[str, Any]


def _others(params: Params) -> float:
    momentum = 0.02 * (math.log10(params["norm.momentum"]) + 1.15) / 0.5
    batch = -0.01 * (math.log2(params["training.batch_size"]) - 5)
    return momentum + batch - 0.03 * (params["norm.scaling"] in (None, "none"))


def _cliff(params: Params) -> float:
    return -0.1 * (params.get("norm.threshold", 0.0) > 0.5)


WORLDS: dict[str, Callable[[Params], float]] = {
    "nothing": lambda params: 0.0,
    "crossing": lambda params: 0.0,
    "others": _others,
    "cliff": _cliff,
}


class Made:
    """One sweep's world."""

    def __init__(self, name: str, epochs: int, seed: int) -> None:
        self._name, self._epochs, self._seed = name, epochs, seed

    def fate(self, number: int, params: Params) -> Fate:
        rng = np.random.default_rng([self._seed, number])
        end = 0.9 + WORLDS[self._name](params) + 0.02 * rng.standard_normal()
        spread = 0.8 if self._name == "crossing" else 0.1
        tau = 1.5 * math.exp(spread * rng.standard_normal())
        epoch = np.arange(1, self._epochs + 1)
        mean = np.clip(end - (end - 0.1) * (1 + epoch / tau) ** -1.5, 0.02, 0.99)
        return Fate(curve=rng.binomial(IMAGES, mean) / IMAGES, measures=_measures(params, self._epochs, rng))


def _measures(params: Params, epochs: int, rng: np.random.Generator) -> list[dict[str, float]]:
    """The gate opens less often at higher thresholds, whatever the score."""
    found = []
    for similarity in 0.35 + 0.03 * rng.standard_normal(epochs):
        told = {"val_examples": float(IMAGES)}
        if params.get("norm.threshold") is not None:
            opened = 0.5 + 3 * (similarity - params["norm.threshold"]) + 0.1 * rng.standard_normal()
            told |= {"similarity": float(similarity), "gate_open": float(np.clip(opened, 0.0, 1.0))}
        found.append(told)
    return found


def original(method: str) -> Original:
    """The quickstart by a method, without any trial yet."""
    spec = load_spec(SPEC, METHODS[method])
    if spec.search.audit_every is None:
        spec = replace(spec, search=replace(spec.search, audit=12))
    task = spec.find_task()
    started = SweepStarted(
        time_s=time.time(),
        sweep_id="0" * 32,
        name=spec.name,
        spec=schema.to_plain(spec),
        task=task.record(spec.base).to_plain(),
    )
    return Original(
        started=started,
        spec=spec,
        metric=spec.metric,
        workers=2,
        priors=(),
        trials=(),
        seen=np.zeros((0, spec.base.training.epochs)),
        unscored=(),
        bits=(),
        examples=IMAGES,
    )


def world(name: str, sweep: Original, seed: int) -> Made:
    """One of that name."""
    return Made(name, sweep.max_epochs, seed)


def said_of(sweep: Original, made: Made, seed: int) -> list[str]:
    """All that the report claims of one sweep."""
    return sorted(claims(sure(analyse(observations(replayed(sweep, made, seed=seed)), claims_alone=True))))
