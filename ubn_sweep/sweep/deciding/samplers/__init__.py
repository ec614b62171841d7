"""The samplers that a sweep can name: each is an Optuna sampler whose suggestions do not depend on its past.

The suggestion for trial n is a function of (seed, n, the study's trials), so a sweep that is restarted goes
on as if nothing had happened.
"""

import enum
import functools
from collections.abc import Callable, Sequence

from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from ubn_sweep.sweep.deciding.samplers.auto import AutoSampler
from ubn_sweep.sweep.deciding.samplers.seeded import PerTrialSampler, StoppedAsCompleteSampler


class Lesson(enum.Enum):
    """How a trial without a result, one that diverged or failed, is told, so that its region is asked for less."""

    READ = enum.auto()
    """As it was: the sampler reads it by itself, or learns from nothing."""
    WORST = enum.auto()
    """As a stopped trial that reported nothing: TPE ranks it behind all others."""


def _auto(seed: int, rung_levels: tuple[int, ...], max_epochs: int) -> BaseSampler:
    return AutoSampler(seed=seed, rung_levels=rung_levels, max_epochs=max_epochs)


def _random(seed: int, rung_levels: tuple[int, ...], max_epochs: int) -> BaseSampler:
    return PerTrialSampler(RandomSampler, seed=seed)


def _tpe(seed: int, rung_levels: tuple[int, ...], max_epochs: int) -> BaseSampler:
    return PerTrialSampler(TPESampler, seed=seed)


def _gp(seed: int, rung_levels: tuple[int, ...], max_epochs: int) -> BaseSampler:
    quiet = functools.partial(GPSampler, warn_independent_sampling=False)
    return StoppedAsCompleteSampler(PerTrialSampler(quiet, seed=seed))


_FACTORIES: dict[str, Callable[[int, tuple[int, ...], int], BaseSampler]] = {
    "auto": _auto,
    "gp": _gp,
    "random": _random,
    "tpe": _tpe,
}
_LESSONS = {"tpe": Lesson.WORST}


def lesson_of(name: str) -> Lesson:
    """How the sampler of that name wants to be told of trials without a result."""
    return _LESSONS.get(name, Lesson.READ)


def make_sampler(name: str, *, seed: int, rung_levels: Sequence[int], max_epochs: int) -> BaseSampler:
    """The sampler of that name.

    `rung_levels` are the epochs before the last where trials are compared, `max_epochs` is the last one.
    """
    if name not in _FACTORIES:
        raise ValueError(f"`sampler` must be one of {', '.join(_FACTORIES)}, but got {name!r}.")
    return _FACTORIES[name](seed, tuple(rung_levels), max_epochs)
