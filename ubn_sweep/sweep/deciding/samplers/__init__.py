"""The samplers that a sweep can name: each is an Optuna sampler whose suggestions do not depend on its past.

The suggestion for trial n is a function of (seed, n, the study's trials), so a sweep that is restarted goes
on as if nothing had happened. A sampler from elsewhere, `module:Class`, need not be so: its calls are repeated.
"""

import enum
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.sweep.deciding.samplers.auto import AutoSampler
from ubn_sweep.sweep.deciding.samplers.grid import GridSampler
from ubn_sweep.sweep.deciding.samplers.mapping import MapSampler
from ubn_sweep.sweep.deciding.samplers.qmc import QmcSampler
from ubn_sweep.sweep.deciding.samplers.scalarised import ScalarisedSampler
from ubn_sweep.sweep.deciding.samplers.seeded import PerTrialSampler, StoppedAsCompleteSampler
from ubn_sweep.sweep.deciding.samplers.setting import Setting
from ubn_sweep.sweep.spec.goals import MapConfig


class Lesson(enum.Enum):
    """How a trial without a result, one that diverged or failed, is told, so that its region is asked for less."""

    READ = enum.auto()
    """As it was: the sampler reads it by itself, or learns from nothing."""
    WORST = enum.auto()
    """As a stopped trial that reported nothing: TPE ranks it behind all others."""
    COMPLETE = enum.auto()
    """As a complete trial with the worst scores of all, and a stopped one as a complete one too: TPE for two
    objectives looks at no other."""


def _auto(setting: Setting) -> BaseSampler:
    if setting.map is not None and setting.declared is not None:
        return MapSampler(setting, setting.map, setting.declared)
    sampler = AutoSampler(seed=setting.seed, rung_levels=setting.rung_levels, max_epochs=setting.max_epochs)
    return sampler if setting.objectives == 1 else ScalarisedSampler(sampler, seed=setting.seed)


def _gp(setting: Setting) -> BaseSampler:
    quiet = functools.partial(GPSampler, warn_independent_sampling=False)
    return StoppedAsCompleteSampler(PerTrialSampler(quiet, seed=setting.seed))


def _grid(setting: Setting) -> BaseSampler:
    return GridSampler(seed=setting.seed, listed=setting.listed, **setting.options)


def _qmc(setting: Setting) -> BaseSampler:
    return QmcSampler(seed=setting.seed, names=setting.names, **setting.options)


def _random(setting: Setting) -> BaseSampler:
    return PerTrialSampler(RandomSampler, seed=setting.seed)


def _tpe(setting: Setting) -> BaseSampler:
    return PerTrialSampler(TPESampler, seed=setting.seed)


_FACTORIES: dict[str, Callable[[Setting], BaseSampler]] = {
    "auto": _auto,
    "gp": _gp,
    "grid": _grid,
    "qmc": _qmc,
    "random": _random,
    "tpe": _tpe,
}
_LESSONS = {"tpe": Lesson.WORST}
READ_RUNNING = frozenset({"auto"})
"""They learn from the epochs of trials that have not ended."""
LISTS = frozenset({"grid"})
"""They go through a list of points: no random one takes the place of theirs, and earlier sweeps teach them nothing."""
FILL = LISTS | {"qmc", "random"}
"""Their points cover the space whatever came of those before: an audit takes them as they are."""


def lesson_of(name: str, objectives: int = 1) -> Lesson:
    """How the sampler of that name wants to be told of trials without a result."""
    lesson = _LESSONS.get(name, Lesson.READ)
    return Lesson.COMPLETE if lesson is Lesson.WORST and objectives > 1 else lesson


def make_sampler(
    name: str,
    *,
    seed: int,
    rung_levels: Sequence[int],
    max_epochs: int,
    options: Mapping[str, Any] | None = None,
    names: Sequence[str] = (),
    listed: Collection[str] = (),
    declared: DeclaredSpace | None = None,
    map: MapConfig | None = None,
    objectives: int = 1,
) -> BaseSampler:
    """The sampler of that name; the arguments are those of Setting."""
    if name not in _FACTORIES:
        raise ValueError(f"`sampler` must be one of {', '.join(_FACTORIES)}, but got {name!r}.")
    setting = Setting(
        seed=seed,
        rung_levels=tuple(rung_levels),
        max_epochs=max_epochs,
        options={} if options is None else options,
        names=tuple(names),
        listed=frozenset(listed),
        declared=declared,
        map=map,
        objectives=objectives,
    )
    return _FACTORIES[name](setting)
