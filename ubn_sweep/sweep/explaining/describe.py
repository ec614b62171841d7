"""A spec in words: what `ubn-sweep validate` shows."""

from __future__ import annotations

import dataclasses
from typing import Any

from ubn_sweep.sweep.deciding.brackets import early_stopping_of
from ubn_sweep.sweep.deciding.warm_starts import first_points
from ubn_sweep.sweep.spec.parameters import (
    ChoiceParameter,
    ConstantParameter,
    FloatParameter,
    IntParameter,
    OrderedParameter,
    Scalar,
)
from ubn_sweep.sweep.spec.space import Space, as_list
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.texts import as_yaml


def describe_space(spec: SweepSpec) -> list[tuple[str, str, str]]:
    """(key, values, condition) of each parameter, in the order in which they are decided."""
    return [(key, _values(spec.space[key]), _condition(spec.space[key].when)) for key in Space(spec).keys]


def rung_epochs(spec: SweepSpec) -> list[int]:
    """The epochs at which early stopping compares; the last is the full budget."""
    rungs = early_stopping_of(spec)
    levels = rungs.levels if rungs is not None else ()
    return sorted({*levels, spec.base.training.epochs})


def first_trials(spec: SweepSpec) -> list[tuple[str, dict[str, Any]]]:
    """What comes before the sampler's own, by origin."""
    return first_points(Space(spec), spec.search)


def stop_rules(spec: SweepSpec) -> str:
    """`hours 8, target 0.95`: what ends the sweep before its trials do; empty where nothing does."""
    rules = dataclasses.asdict(spec.stop_when)
    return ", ".join(f"{name} {show(value)}" for name, value in rules.items() if value is not None)


def show(value: Scalar) -> str:
    """A value as YAML writes it; numbers to four digits."""
    return as_yaml(value, digits=4)


def _values(parameter: Any) -> str:
    if isinstance(parameter, FloatParameter | IntParameter):
        scale = ", log" if parameter.log else ""
        step = f", step {parameter.step}" if parameter.step is not None else ""
        return f"{parameter.type} {parameter.low} to {parameter.high}{scale}{step}"
    if isinstance(parameter, ConstantParameter):
        return f"always {show(parameter.value)}"
    assert isinstance(parameter, ChoiceParameter | OrderedParameter)
    separator = " < " if isinstance(parameter, OrderedParameter) else " | "
    return separator.join(show(value) for value in parameter.values)


def _condition(when: dict[str, Any]) -> str:
    return " and ".join(
        f"{key} is {' or '.join(show(value) for value in as_list(allowed))}" for key, allowed in when.items()
    )
