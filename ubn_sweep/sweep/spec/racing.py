"""The spec of a race: the sweep's own protocol, its finalists and baseline, and fresh seeds for each round."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any

from ubn_sweep import schema
from ubn_sweep.dotted import flatten
from ubn_sweep.errors import UserError
from ubn_sweep.records.race import Entrant, RaceConfig, Scalar
from ubn_sweep.sweep.spec.parameters import ChoiceParameter, OrderedParameter, Parameter
from ubn_sweep.sweep.spec.space import Space
from ubn_sweep.sweep.spec.spec import SearchConfig, SweepSpec
from ubn_sweep.sweep.spec.stopping import StopWhenConfig

SEED_LIMIT = 2**31


@dataclasses.dataclass(frozen=True, kw_only=True)
class Racer:
    """A config that is to race."""

    name: str
    config: Mapping[str, Any]
    """The whole trial config, as plain mappings."""
    trial: int | None = None
    baseline: bool = False


def race_spec(
    spec: SweepSpec, sweep_id: str, racers: Sequence[Racer], *, name: str, choosing: int, held_out: int
) -> SweepSpec:
    """A sweep of the racers on `choosing` + `held_out` rounds, all else as it was in the sweep that they come from.

    The same arguments give the same seeds; another name gives others.

    Raises:
        UserError: the sweep is one that no race can settle.
    """
    _check(spec)
    base = flatten(schema.to_plain(spec.base))
    rounds = _rounds(spec, f"{sweep_id}/{name}", choosing + held_out)
    configs = [flatten(racer.config) for racer in racers]
    keys = [
        key
        for key in dict.fromkeys((*spec.space, *_named_by_starts(spec)))
        if any(config.get(key) != base.get(key) for config in configs)
    ]
    race = RaceConfig(
        of=spec.name,
        of_id=sweep_id,
        entrants=tuple(
            Entrant(
                name=racer.name,
                params={key: config.get(key) for key in keys},
                trial=racer.trial,
                baseline=racer.baseline,
            )
            for racer, config in zip(racers, configs, strict=True)
        ),
        rounds=rounds,
        choosing=choosing,
    )
    return dataclasses.replace(
        spec,
        name=name,
        description=f"confirms {spec.name}: {', '.join(racer.name for racer in racers)}",
        space=_space(race),
        search=SearchConfig(trials=race.most_trainings, sampler="random", warm_starts=False),
        early_stopping=None,
        stop_when=StopWhenConfig(),
        resources=dataclasses.replace(spec.resources, keep_best=0),
        race=race,
    )


def baseline_config(spec: SweepSpec, name: str) -> dict[str, Any] | None:
    """The sweep's base with what its task calls by that name, as a plain config; None where the task names none."""
    forms = spec.find_task().warm_starts.get(name)
    if forms is None:
        return None
    first = forms if isinstance(forms, Mapping) else forms[0]
    return schema.to_plain(Space(spec).config(dict(first)))


def _check(spec: SweepSpec) -> None:
    if spec.objective.second is not None:
        raise UserError(
            f"confirm: {spec.name} has two objectives, and a race has one winner: export its front, or sweep by one"
        )
    if spec.find_task().judges_on_test(spec.base):
        raise UserError(
            f"confirm: {spec.name} is judged on the test set, which nothing may choose by: sweep with examples held out"
        )
    if spec.race is not None:
        raise UserError(f"confirm: {spec.name} confirms {spec.race.of} itself: name that sweep")


def _rounds(spec: SweepSpec, words: str, count: int) -> tuple[dict[str, int], ...]:
    """Seeds that no trial of the sweep had: those count up from the base's."""
    task, dice = spec.find_task(), random.Random(words)
    each = task.seeds_per_trial(spec.base)
    first = dice.randrange(SEED_LIMIT // 2, SEED_LIMIT - count * each)
    rounds = []
    for number in range(count):
        seeds = {"seed": first + number * each}
        if task.split_key is not None:
            seeds[task.split_key] = dice.randrange(SEED_LIMIT)
        rounds.append(seeds)
    return tuple(rounds)


def _named_by_starts(spec: SweepSpec) -> list[str]:
    """What a baseline may set beside the space."""
    starts = spec.find_task().warm_starts.values()
    forms = [form for start in starts for form in ([start] if isinstance(start, Mapping) else start)]
    return [key for form in forms for key in form]


def _space(race: RaceConfig) -> dict[str, Parameter]:
    """Every value that an entrant or a round has, so that the records show what was varied."""
    found: dict[str, Parameter] = {}
    for key in race.entrants[0].params:
        values = _distinct([one.params[key] for one in race.entrants])
        found[key] = ChoiceParameter(type="choice", values=values)
    for key in race.rounds[0]:
        seeds = _distinct([seeds[key] for seeds in race.rounds])
        found[key] = OrderedParameter(type="ordered", values=seeds)
    return found


def _distinct(values: Sequence[Scalar]) -> tuple[Scalar, ...]:
    """True and 1 are two values."""
    return tuple({(type(value), value): value for value in values}.values())
