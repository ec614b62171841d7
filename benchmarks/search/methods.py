"""Searchers by name, each with asynchronous successive halving."""

import inspect

import optuna

from benchmarks.search.problems import Problem
from benchmarks.search.simulation import Engine, Schedule, StateEngine, StockEngine, StudyEngine
from ubn_sweep.sweep.spec.spec import SAMPLER_NAMES

OPTUNA_PREFIX = "optuna:"
PROMOTES = "+promote"


def make_engine(method: str, problem: Problem, *, seed: int, schedule: Schedule) -> Engine:
    """`stock` is Tune's OptunaSearch and scheduler; `optuna:NAME` is any sampler class that Optuna exports.

    All else is a sweep of ubn-sweep with that sampler; `+promote` behind it is the other kind of early stopping.
    """
    if method == "stock":
        return StockEngine(problem, seed, schedule)
    if method.startswith(OPTUNA_PREFIX):
        return StudyEngine(problem, _optuna_sampler(method.removeprefix(OPTUNA_PREFIX), seed), schedule)
    kind = "promote" if method.endswith(PROMOTES) else "stop"
    return StateEngine(problem, method.removesuffix(PROMOTES), seed, schedule, kind)


def check(method: str) -> str:
    """The method, or an error that lists every one."""
    known = ("stock", *SAMPLER_NAMES)
    if method in known or method.removesuffix(PROMOTES) in SAMPLER_NAMES:
        return method
    if method.startswith(OPTUNA_PREFIX) and hasattr(optuna.samplers, method.removeprefix(OPTUNA_PREFIX)):
        return method
    raise ValueError(
        f"method must be one of {', '.join(known)}, NAME{PROMOTES}, {OPTUNA_PREFIX}NAME, but got {method!r}"
    )


def _optuna_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    sampler_class = getattr(optuna.samplers, name)
    takes_seed = "seed" in inspect.signature(sampler_class).parameters
    return sampler_class(seed=seed) if takes_seed else sampler_class()
