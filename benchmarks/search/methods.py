"""Searchers by name, each with asynchronous successive halving."""

import inspect

import optuna

from benchmarks.search.problems import Problem
from benchmarks.search.simulation import Engine, Schedule, StateEngine, StockEngine, StudyEngine
from ubn_sweep.sweep.spec.spec import SAMPLER_NAMES

OPTUNA_PREFIX = "optuna:"
KINDS = ("promote", "review", "stop")
"""Of early stopping, behind a sampler's name: `auto+stop`."""


def make_engine(method: str, problem: Problem, *, seed: int, schedule: Schedule) -> Engine:
    """`stock` is Tune's OptunaSearch and scheduler; `optuna:NAME` is any sampler class that Optuna exports.

    All else is a sweep of ubn-sweep with that sampler, and with the early stopping that stands behind it: `auto+stop`.
    Where none does it is the default of a spec.
    """
    if method == "stock":
        return StockEngine(problem, seed, schedule)
    if method.startswith(OPTUNA_PREFIX):
        return StudyEngine(problem, _optuna_sampler(method.removeprefix(OPTUNA_PREFIX), seed), schedule)
    sampler, _, kind = method.partition("+")
    return StateEngine(problem, sampler, seed, schedule, kind or None)


def check(method: str) -> str:
    """The method, or an error that lists every one."""
    known = ("stock", *SAMPLER_NAMES)
    sampler, plus, kind = method.partition("+")
    if method in known or (plus and sampler in SAMPLER_NAMES and kind in KINDS):
        return method
    if method.startswith(OPTUNA_PREFIX) and hasattr(optuna.samplers, method.removeprefix(OPTUNA_PREFIX)):
        return method
    kinds = ", ".join(f"NAME+{kind}" for kind in KINDS)
    raise ValueError(
        f"method must be one of {', '.join(known)}, {kinds}, {OPTUNA_PREFIX}NAME, but got {method!r}"
    )


def _optuna_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    sampler_class = getattr(optuna.samplers, name)
    takes_seed = "seed" in inspect.signature(sampler_class).parameters
    return sampler_class(seed=seed) if takes_seed else sampler_class()
