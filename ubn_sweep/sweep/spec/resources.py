"""What a trial takes of a machine: so many workers, each with its processors and GPUs."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ubn_sweep import schema
from ubn_sweep.dotted import leaf_keys, value_at
from ubn_sweep.errors import UserError
from ubn_sweep.source import Source
from ubn_sweep.sweep.spec.parameters import Scalar, possible_values, same
from ubn_sweep.sweep.spec.rules import Look, Rule, cases_of, number_of, turning_points

LOWEST = {"checkpoint_every_epochs": 1, "worker_deaths": 0, "trial_retries": 0, "keep_best": 0}
"""Of the whole numbers in ResourcesConfig."""
OLD_NAMES = {"cpus_per_trial": "cpus_per_worker", "gpus_per_trial": "gpus_per_worker"}
"""As they were called when every trial was one worker."""
RULES = ("workers_per_trial", "cpus_per_worker", "gpus_per_worker")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What one trial takes."""

    workers: int
    cpus: int
    """Of each worker."""
    gpus: float
    """Of each worker: 0, a share of one, or a whole number."""

    def __str__(self) -> str:
        each = f"cpus_per_worker {self.cpus}, gpus_per_worker {self.gpus:g}"
        return each if self.workers == 1 else f"workers_per_trial {self.workers}, {each}"


@dataclass(frozen=True, kw_only=True)
class ResourcesConfig:
    """What one trial takes, and how many run at once."""

    workers_per_trial: Rule = 1
    """Processes that train one trial together, each on batches of `training.batch_size`. As the two below a number, or
    cases that ask the trial's config."""
    cpus_per_worker: Rule = 1
    """Threads of one worker, too."""
    gpus_per_worker: Rule = 0.0
    """Fractions share one GPU, whose memory is then not kept apart."""
    max_concurrent: int | None = None
    """null runs as many as the machine or cluster holds."""
    checkpoint_every_epochs: int = 1
    worker_deaths: int = 3
    """How often in a row, without an epoch in between, a trial is started again after its process or node died."""
    trial_retries: int = 1
    """How often a trial is tried again, from its checkpoint in a new process, after its task raised or hung."""
    failures_in_a_row: int | None = 5
    """After so many failed trials without another end between them the sweep stops, to be resumed; null goes on."""
    epoch_timeout_s: float | None = None
    """A trial that reports nothing for so long hangs, and its process is ended; null waits for ever."""
    worker_timeout_s: float = 300.0
    """How long workers of a trial wait for each other, at the start or within a step, before it is tried again."""
    keep_best: int = 0
    """Of how many of the best trials the final checkpoint is kept, in the sweep's folder `best`."""
    keep_checkpoints: bool = False
    """Whether every trial's last checkpoint is kept, for a larger budget or a kinder early stopping to go on from."""

    def __post_init__(self) -> None:
        for name in RULES:
            for case in cases_of(getattr(self, name)):
                _check_number(name, case.value)
        for name, lowest in LOWEST.items():
            if getattr(self, name) < lowest:
                raise ValueError(f"`{name} >= {lowest}` must hold, but got {getattr(self, name)}: raise it")
        for name in ("max_concurrent", "failures_in_a_row"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name} >= 1` must hold, but got {value}: or leave it out")
        for name, usual in (("epoch_timeout_s", "ten times an epoch"), ("worker_timeout_s", "some minutes")):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"`{name} > 0` must hold, but got {value}: take {usual}")

    def shape(self, config: Mapping[str, Any]) -> Shape:
        """What the trial of a plain config takes."""
        return self.shape_by(functools.partial(value_at, config))

    def shape_by(self, look: Look) -> Shape:
        """What the trial takes whose config `look` knows."""
        workers, cpus, gpus = (number_of(getattr(self, name), look) for name in RULES)
        return Shape(workers=int(workers), cpus=int(cpus), gpus=gpus)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the trial config by which the rules tell trials apart."""
        cases = itertools.chain(*(cases_of(getattr(self, name)) for name in RULES))
        return tuple(dict.fromkeys(key for case in cases for key in case.when))


def in_todays_words(content: dict[str, Any]) -> dict[str, Any]:
    """A section `resources` with the names of before, when every trial was one worker.

    Raises:
        UserError: one of them beside its new name, or beside several workers, of whom it says too little.
    """
    old = [name for name in OLD_NAMES if name in content]
    for name in old:
        if OLD_NAMES[name] in content:
            raise UserError(f"resources.{name}: is called {OLD_NAMES[name]} now, and both are there: drop it")
        if content.get("workers_per_trial", 1) != 1:
            raise UserError(
                f"resources.{name}: of several workers say {OLD_NAMES[name]}, what each of them takes"
            )
    return {OLD_NAMES.get(name, name): value for name, value in content.items()}


def check_rules(resources: ResourcesConfig, base: Any, source: Source) -> None:
    """Whether the rules ask for keys that trials have.

    Raises:
        UserError: they ask for another one.
    """
    keys = leaf_keys(schema.to_plain(base))
    for name in RULES:
        for key in [key for case in cases_of(getattr(resources, name)) for key in case.when]:
            if key not in keys:
                where, near = source.at(("resources", name)), schema.did_you_mean(key, keys)
                raise UserError(f"{where}: `when` names `{key}`, which no trial's config has{near}: mend it")


def shapes(resources: ResourcesConfig, base: Any, space: Mapping[str, Any]) -> list[Shape]:
    """All that trials of a space may take: the rules asked for every value that makes a difference."""
    keys, plain = resources.keys, schema.to_plain(base)
    values = [_telling_values(key, resources, value_at(plain, key), space.get(key)) for key in keys]
    found = [
        resources.shape_by(dict(zip(keys, one, strict=True)).__getitem__)
        for one in itertools.product(*values)
    ]
    return list(dict.fromkeys(found))


def _telling_values(key: str, resources: ResourcesConfig, usual: Scalar, parameter: Any) -> Iterable[Scalar]:
    """Of a range its ends and the turning points within: between them no rule changes its mind."""
    if parameter is None:
        return [usual]
    values = possible_values(parameter)
    if values is None:
        turns = turning_points(key, [getattr(resources, name) for name in RULES])
        within = [
            turn
            for turn in turns
            if isinstance(turn, int | float) and parameter.low <= turn <= parameter.high
        ]
        values = [*parameter.extremes(), *within]
    # Where the parameter is not active, the trial has the value of `base`.
    return values if any(same(usual, value) for value in values) else [*values, usual]


def _check_number(name: str, value: float) -> None:
    if name != "gpus_per_worker":
        if not math.isfinite(value) or value % 1 != 0 or value < 1:
            raise ValueError(f"`{name} >= 1`, a whole number, must hold, but got {value:g}: take 1, 2, ...")
    elif not math.isfinite(value) or value < 0 or (value > 1 and value % 1 != 0):
        raise ValueError(f"`{name}` is a share of 1 or a whole number, but got {value:g}")
