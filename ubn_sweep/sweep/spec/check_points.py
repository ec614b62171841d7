"""Whether the schema allows the points of a space: small spaces are tried whole, of others some hundred points."""

from __future__ import annotations

import itertools
import random
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from ubn_sweep.errors import UserError
from ubn_sweep.source import Source
from ubn_sweep.sweep.spec.parameters import Scalar, every_value
from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.texts import as_yaml

SMALL_RANGE = 64
"""Ranges of so many values are tried whole."""
SMALL_SPACE = 1000
"""Points; of larger spaces so many are tried: half of them anywhere, half where ranges end."""


def values_to_try(parameter: Any) -> list[Scalar]:
    """All values of a parameter that has few, else the ends of its range."""
    values = every_value(parameter, SMALL_RANGE)
    return parameter.extremes() if values is None else values


def check_points(space: Space, spec: SweepSpec, source: Source) -> None:
    """Tries combinations of values, each of which is allowed by itself.

    Raises:
        UserError: the trial's schema refuses one of them; the message names the keys that do not go together.
    """
    for params in _points(space, spec):
        try:
            space.config(params)
        except UserError as error:
            keys = _at_odds(space, params)
            together = " with ".join(f"`{key}` {as_yaml(params[key])}" for key in keys)
            message = str(error).removeprefix("the trial's config: ")
            raise UserError(
                f"{source.at(('space', keys[0]))}: {together} is not allowed: {message}; narrow one of them, or add "
                "a `when`"
            ) from error


def _points(space: Space, spec: SweepSpec) -> list[Params]:
    """The product of the values to try where that is small, and random points where it is not the whole space."""
    values = {key: values_to_try(parameter) for key, parameter in spec.space.items()}
    points = list(itertools.islice(space.combinations(values), SMALL_SPACE + 1))
    if len(points) > SMALL_SPACE:
        points = []
    elif space.every_point(SMALL_SPACE) is not None:
        return points
    dice = random.Random(0)
    half = range(SMALL_SPACE // 2)
    points += [space.sample(lambda _, found: _anywhere(found, dice)) for _ in half]
    points += [space.sample(lambda _, found: _at_an_end(found, dice)) for _ in half]
    return points


def _anywhere(distribution: BaseDistribution, dice: random.Random) -> Any:
    """An Optuna value; on a log scale it need not be log-uniform to be a point of the space."""
    if isinstance(distribution, CategoricalDistribution):
        return dice.choice(distribution.choices)
    low, high, step = distribution.low, distribution.high, distribution.step
    if isinstance(distribution, FloatDistribution) and step is None:
        return dice.uniform(low, high)
    return min(low + dice.randint(0, round((high - low) / step)) * step, high)


def _at_an_end(distribution: BaseDistribution, dice: random.Random) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return dice.choice(distribution.choices)
    return dice.choice((distribution.low, distribution.high))


def _at_odds(space: Space, params: Params) -> list[str]:
    """The keys without which, so with the base's value, the point would be allowed; all where that is none of them."""
    keys = [key for key in params if _is_allowed(space, {k: v for k, v in params.items() if k != key})]
    return keys or list(params)


def _is_allowed(space: Space, params: Params) -> bool:
    try:
        space.config(params)
    except UserError:
        return False
    return True
