"""Samplers by name."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.samplers import BaseSampler

SAMPLER_NAMES = ("auto", "random", "tpe", "gp")


def make_sampler(name: str, *, seed: int, rung_levels: Sequence[int]) -> BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)
