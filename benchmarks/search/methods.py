"""Searchers by name, each with asynchronous successive halving."""

import inspect

import optuna

from benchmarks.search.problems import Problem
from benchmarks.search.simulation import Engine, Schedule, StockEngine, StudyEngine, rungs_of
from ubn_sweep.sweep.deciding.samplers import make_sampler
from ubn_sweep.sweep.spec.spec import SAMPLER_NAMES

OPTUNA_PREFIX = "optuna:"


def make_engine(method: str, problem: Problem, *, seed: int, schedule: Schedule) -> Engine:
    """`stock` is Tune's OptunaSearch and scheduler; `optuna:NAME` is any sampler class that Optuna exports."""
    if method == "stock":
        return StockEngine(problem, seed, schedule)
    if method.startswith(OPTUNA_PREFIX):
        return StudyEngine(problem, _optuna_sampler(method.removeprefix(OPTUNA_PREFIX), seed), schedule)
    rung_levels = rungs_of(problem, schedule).levels
    sampler = make_sampler(method, seed=seed, rung_levels=rung_levels, max_epochs=problem.max_epochs)
    return StudyEngine(problem, sampler, schedule)


def check(method: str) -> str:
    """The method, or an error that lists every one."""
    known = ("stock", *SAMPLER_NAMES)
    if method in known:
        return method
    if method.startswith(OPTUNA_PREFIX) and hasattr(optuna.samplers, method.removeprefix(OPTUNA_PREFIX)):
        return method
    raise ValueError(f"method must be one of {', '.join(known)}, {OPTUNA_PREFIX}NAME, but got {method!r}")


def _optuna_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    sampler_class = getattr(optuna.samplers, name)
    takes_seed = "seed" in inspect.signature(sampler_class).parameters
    return sampler_class(seed=seed) if takes_seed else sampler_class()
