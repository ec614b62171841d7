"""A spec's space: the order in which parameters are decided, when each is active, and the config that follows."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ubn_sweep import schema
from ubn_sweep.dotted import set_at, value_at
from ubn_sweep.errors import UserError
from ubn_sweep.surrogate.coding import Coding
from ubn_sweep.surrogate.declared import DeclaredSpace, declared_space
from ubn_sweep.sweep.spec.parameters import (
    ChoiceParameter,
    ConstantParameter,
    FloatParameter,
    IntParameter,
    OrderedParameter,
    Scalar,
    every_value,
    place_in_range,
    same,
)
from ubn_sweep.sweep.spec.spec import SweepSpec

Params = dict[str, Scalar]
Ask = Callable[[str, BaseDistribution], Any]


class Space:
    """What a spec varies.

    `params` are the values of the parameters that are active in a trial, by dotted key. Optuna knows an ordered
    parameter by the index of its value, so that its samplers see the order.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self.task = spec.find_task()
        self._base = schema.to_plain(spec.base)
        self._parameters = {key: spec.space[key] for key in decision_order(spec)}

    @property
    def keys(self) -> list[str]:
        return list(self._parameters)

    @property
    def listed(self) -> frozenset[str]:
        """The parameters whose values the user has listed, one by one or by a step."""
        return frozenset(
            key for key, item in self._parameters.items() if getattr(item, "step", None) is not None
            or not isinstance(item, FloatParameter | IntParameter)
        )  # fmt: skip

    def is_active(self, key: str, params: Params) -> bool:
        """Whether all conditions of a parameter hold, given those decided before it."""
        for parent, allowed in self._parameters[key].when.items():
            if parent in self._parameters and parent not in params:
                return False  # the parent itself is not active
            value = params[parent] if parent in self._parameters else value_at(self._base, parent)
            if not any(same(value, item) for item in as_list(allowed)):
                return False
        return True

    def sample(self, ask: Ask) -> Params:
        """Decides all active parameters in order; `ask` gives an Optuna value for a name and a distribution."""
        params: Params = {}
        for key, parameter in self._parameters.items():
            if not self.is_active(key, params):
                continue
            if isinstance(parameter, ConstantParameter):
                params[key] = parameter.value
            else:
                value = ask(key, self.distribution(key))
                params[key] = parameter.values[value] if isinstance(parameter, OrderedParameter) else value
        return params

    def combinations(self, values: Mapping[str, Sequence[Scalar]]) -> Iterator[Params]:
        """All points whose parameters have one of the given values each; conditions are kept."""
        return self._continued({}, list(self._parameters), values)

    def every_point(self, limit: int) -> list[Params] | None:
        """All points of a space that has at most `limit`; None for others."""
        values = {key: every_value(parameter, limit) for key, parameter in self._parameters.items()}
        finite = {key: found for key, found in values.items() if found is not None}
        if len(finite) < len(values):  # each parameter is active somewhere, or the spec were refused
            return None
        points = list(itertools.islice(self.combinations(finite), limit + 1))
        return points if len(points) <= limit else None

    def identity(self, params: Params) -> Hashable:
        """Equal for two points that are the same one, however the steps of a range were rounded."""
        return tuple(self._identity_of(key, params[key]) for key in self._parameters if key in params)

    def distribution(self, key: str) -> BaseDistribution:
        """The Optuna distribution that the sampler sees."""
        parameter = self._parameters[key]
        if isinstance(parameter, FloatParameter):
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        if isinstance(parameter, IntParameter):
            return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1)
        if isinstance(parameter, OrderedParameter):
            return IntDistribution(0, len(parameter.values) - 1)
        assert isinstance(parameter, ChoiceParameter)
        return CategoricalDistribution(parameter.values)

    def to_optuna(self, params: Params) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """A trial's parameters as the sampler's study holds them."""
        values: dict[str, Any] = {}
        for key, value in params.items():
            parameter = self._parameters[key]
            if isinstance(parameter, ConstantParameter):
                continue
            if isinstance(parameter, OrderedParameter):
                value = next(i for i, item in enumerate(parameter.values) if same(item, value))
            values[key] = value
        return values, {key: self.distribution(key) for key in values}

    @functools.cached_property
    def declared(self) -> DeclaredSpace:
        """The space as models know it."""
        return declared_space({key: schema.to_plain(item) for key, item in self._parameters.items()})

    def place(self, key: str, params: Params) -> float | None:
        """Where a value lies in its range, from 0 to 1 on its own scale; None where the parameter is not active."""
        if key not in params:
            return None
        values, distributions = self.to_optuna({key: params[key]})
        return float(Coding(distributions).codes([values])[0, 0])

    def to_dashboard(self, params: Params) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """A trial's parameters for people: ordered values as themselves, not as their index."""
        values, distributions = self.to_optuna(params)
        for key in values:
            parameter = self._parameters[key]
            if isinstance(parameter, OrderedParameter):
                values[key] = params[key]
                distributions[key] = CategoricalDistribution(parameter.values)
        return values, distributions

    def holds(self, params: Params) -> bool:
        """Whether the params are a point of this space: the active keys, and only they, with values within."""
        for key in self._parameters:
            if self.is_active(key, params) != (key in params):
                return False
        return all(key in self._parameters and self.contains(key, value) for key, value in params.items())

    def contains(self, key: str, value: Scalar) -> bool:
        """Whether a value is one of a parameter's."""
        parameter = self._parameters[key]
        if isinstance(parameter, ConstantParameter):
            return same(value, parameter.value)
        if isinstance(parameter, ChoiceParameter | OrderedParameter):
            return any(same(value, item) for item in parameter.values)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return bool(self.distribution(key)._contains(value))

    def nearest(self, key: str, wanted: Scalar) -> Scalar:
        """The value of a parameter that is nearest to one wanted; its middle or first one where that says nothing."""
        parameter = self._parameters[key]
        if isinstance(parameter, ConstantParameter):
            return parameter.value
        if isinstance(parameter, ChoiceParameter | OrderedParameter):
            return next((item for item in parameter.values if same(item, wanted)), parameter.values[0])
        number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
        value = float(wanted) if number else _middle(parameter)  # type: ignore[arg-type]
        value = min(max(value, parameter.low), parameter.high)
        step = parameter.step if isinstance(parameter, FloatParameter) else (parameter.step or 1)
        if step is not None:
            value = parameter.low + round((value - parameter.low) / step) * step
            value = value - step if value > parameter.high else value
        return round(value) if isinstance(parameter, IntParameter) else value

    def config(self, params: Params, *, seed: int | None = None) -> Any:
        """The base with the params set, as a config of the task.

        Raises:
            UserError: the schema does not allow the combination.
        """
        content = copy.deepcopy(self._base)
        for key, value in params.items():
            set_at(content, key, value)
        if seed is not None:
            content["seed"] = seed
        return schema.parse(self.task.Config, content, source="the trial's config")

    def base_value(self, key: str) -> Scalar:
        return value_at(self._base, key)

    def _continued(
        self, params: Params, keys: Sequence[str], values: Mapping[str, Sequence[Scalar]]
    ) -> Iterator[Params]:
        if not keys:
            yield params
        elif not self.is_active(keys[0], params):
            yield from self._continued(params, keys[1:], values)
        else:
            for value in values[keys[0]]:
                yield from self._continued({**params, keys[0]: value}, keys[1:], values)

    def _identity_of(self, key: str, value: Any) -> Hashable:
        parameter = self._parameters[key]
        if isinstance(parameter, FloatParameter | IntParameter):
            return key, place_in_range(parameter, value)
        return key, isinstance(value, bool), value  # true and 1 are two values, and hash alike


def decision_order(spec: SweepSpec) -> list[str]:
    """The keys of the space, each behind those that its conditions name, else in the order of the file.

    Raises:
        UserError: the conditions go round in a circle.
    """
    order: list[str] = []
    waiting = list(spec.space)
    while waiting:
        ready = next(
            (key for key in waiting if all(p not in spec.space or p in order for p in spec.space[key].when)),
            None,
        )
        if ready is None:
            raise UserError(f"the conditions of {', '.join(waiting)} go round in a circle: drop one of them")
        order.append(ready)
        waiting.remove(ready)
    return order


def as_list(allowed: Scalar | list[Scalar]) -> list[Scalar]:
    return allowed if isinstance(allowed, list) else [allowed]


def _middle(parameter: FloatParameter | IntParameter) -> float:
    if parameter.log:
        return float((parameter.low * parameter.high) ** 0.5)
    return (parameter.low + parameter.high) / 2
