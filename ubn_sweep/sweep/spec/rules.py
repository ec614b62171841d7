"""A number of a spec that may depend on the trial's config: given outright, or as cases with conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from ubn_sweep.schema import OMIT_EMPTY, on_one_line, read_by
from ubn_sweep.sweep.spec.parameters import Scalar, same

EXAMPLE = "[{when: {training.batch_size: {min: 1024}}, value: 4}, {value: 1}]"
Look = Callable[[str], Any]
"""The value of a dotted key in a trial's config."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """A condition on a number: both ends within; null is none."""

    min: float | None = None
    max: float | None = None

    def holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


Condition = Bounds | tuple[Scalar, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A number for the trials whose config meets all conditions."""

    value: float
    when: dict[str, Condition] = field(default_factory=dict, metadata={OMIT_EMPTY: True})
    """Dotted key of the trial config -> its values, or bounds."""

    def holds(self, look: Look) -> bool:
        return all(_holds(condition, look(key)) for key, condition in self.when.items())


def read_rule(written: Any) -> float | tuple[Case, ...]:
    """A number as it stands, or the cases of a list.

    Raises:
        ValueError: it is neither.
    """
    if _is_number(written):
        return written
    if not isinstance(written, list | tuple):
        raise ValueError(f"must be a number, or cases as in {EXAMPLE}, but got {written!r}")
    cases = tuple(case if isinstance(case, Case) else _read_case(case) for case in written)
    if not cases or cases[-1].when or not all(case.when for case in cases[:-1]):
        raise ValueError(f"the last case, and that one alone, must hold for every trial: write {EXAMPLE}")
    return cases


Rule = Annotated[Any, read_by(read_rule)]
"""float, or tuple[Case, ...]: the first that holds says the number, and the last one always does."""


def cases_of(rule: Any) -> tuple[Case, ...]:
    """A rule as cases; a number is one that always holds."""
    return rule if isinstance(rule, tuple) else (Case(value=rule),)


def number_of(rule: Any, look: Look) -> float:
    """The number for a trial."""
    return next(case.value for case in cases_of(rule) if case.holds(look))


def turning_points(key: str, rules: list[Any]) -> list[Scalar]:
    """The values of a key at which some rule may change its mind."""
    conditions = [case.when[key] for rule in rules for case in cases_of(rule) if key in case.when]
    found: list[Scalar] = []
    for condition in conditions:
        named = (condition.min, condition.max) if isinstance(condition, Bounds) else condition
        found += [value for value in named if not (isinstance(condition, Bounds) and value is None)]
    return found


def _read_case(written: Any) -> Case:
    if not isinstance(written, Mapping) or not {"value"} <= set(written) <= {"value", "when"}:
        raise ValueError(
            f"a case has `value`, and `when` unless it is the last one, but got {_shown(written)}"
        )
    if not _is_number(written["value"]):
        raise ValueError(f"the `value` of a case must be a number, but got {written['value']!r}")
    when = written.get("when") or {}
    if not isinstance(when, Mapping):
        raise ValueError(f"`when` maps keys to values, as in {EXAMPLE}, but got {_shown(when)}")
    return Case(value=written["value"], when={str(key): _read_condition(item) for key, item in when.items()})


def _read_condition(written: Any) -> Condition:
    if not isinstance(written, Mapping):
        return tuple(written) if isinstance(written, list | tuple) else (written,)
    bounds = {name: bound for name, bound in written.items() if bound is not None}
    if not bounds or not set(bounds) <= {"min", "max"} or not all(map(_is_number, bounds.values())):
        raise ValueError(f"bounds are `min`, `max` or both, as in {{min: 1024}}, but got {_shown(written)}")
    return Bounds(**bounds)


def _holds(condition: Condition, value: Any) -> bool:
    if isinstance(condition, Bounds):
        return condition.holds(value)
    return any(same(value, one) for one in condition)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return on_one_line(value)
