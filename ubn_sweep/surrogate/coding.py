"""Configurations as numbers: positions in [0, 1], indices of categories, NaN for what does not exist."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One numeric parameter on [0, 1]: linear in the value or its logarithm, each step an equal share."""

    distribution: FloatDistribution | IntDistribution

    @property
    def step(self) -> float:
        step = self.distribution.step
        return 0.0 if step is None else float(step)

    @property
    def _ends(self) -> tuple[float, float]:
        low, high = self.distribution.low - self.step / 2, self.distribution.high + self.step / 2
        return (math.log(low), math.log(high)) if self.distribution.log else (low, high)

    def position(self, value: npt.ArrayLike) -> Floats:
        low, high = self._ends
        at = np.asarray(value, dtype=float)
        return ((np.log(at) if self.distribution.log else at) - low) / (high - low)

    def value(self, position: npt.ArrayLike) -> Floats:
        low, high = self._ends
        at = low + np.asarray(position, dtype=float) * (high - low)
        value = np.exp(at) if self.distribution.log else at
        bottom = self.distribution.low
        if self.step > 0:
            value = bottom + self.step * np.round((value - bottom) / self.step)
        return np.clip(value, bottom, self.distribution.high)


class Coding:
    """Several parameters: between parameter dicts, codes (n, parameters) and features (n, columns)."""

    def __init__(self, distributions: Mapping[str, BaseDistribution]):
        self.distributions = {name: d for name, d in sorted(distributions.items()) if not d.single()}
        self.names = tuple(self.distributions)
        self._axes = {
            j: Axis(distribution=d)
            for j, d in enumerate(self.distributions.values())
            if isinstance(d, FloatDistribution | IntDistribution)
        }
        self._n_choices = {
            j: len(d.choices)
            for j, d in enumerate(self.distributions.values())
            if isinstance(d, CategoricalDistribution)
        }
        widths = [self._n_choices.get(j, 1) for j in range(len(self.names))]
        self.parameter_of_column = np.repeat(np.arange(len(self.names)), widths)

    def is_choice(self, column: int) -> bool:
        """Whether a parameter's codes are the places of its choices, not positions in a range."""
        return column in self._n_choices

    def codes(self, configs: Sequence[Mapping[str, Any]]) -> Floats:
        """(n, parameters); where the space was changed: positions outside [0, 1], categories gone as NaN."""
        out = np.full((len(configs), len(self.names)), np.nan)
        for j, (name, distribution) in enumerate(self.distributions.items()):
            rows = [i for i, config in enumerate(configs) if name in config]
            if isinstance(distribution, CategoricalDistribution):
                rows = [i for i in rows if configs[i][name] in distribution.choices]
            values = [distribution.to_internal_repr(configs[i][name]) for i in rows]
            out[rows, j] = values if j in self._n_choices else self._axes[j].position(values)
        return out

    def params(self, code: Floats) -> dict[str, Any]:
        """One row of codes as a configuration, without the parameters that are NaN."""
        config: dict[str, Any] = {}
        for j, (name, distribution) in enumerate(self.distributions.items()):
            if not np.isnan(code[j]):
                value = float(code[j]) if j in self._n_choices else float(self._axes[j].value(code[j]))
                config[name] = distribution.to_external_repr(value)
        return config

    def values(self, column: int) -> list[float]:
        """All codes of a parameter that has finitely many values; ValueError for ranges without a step."""
        distribution = self.distributions[self.names[column]]
        if column in self._n_choices:
            return [float(choice) for choice in range(self._n_choices[column])]
        axis = self._axes[column]
        if axis.step == 0 or isinstance(distribution, CategoricalDistribution):
            raise ValueError(
                f"`{self.names[column]}` must have single values, but is a range: list its values"
            )
        count = round((axis.distribution.high - axis.distribution.low) / axis.step) + 1
        return [float(axis.position(axis.distribution.low + index * axis.step)) for index in range(count)]

    def snapped(self, codes: Floats) -> Floats:
        """The same codes, moved to values that exist (steps, integers, whole categories)."""
        out = codes.copy()
        for j, axis in self._axes.items():
            at = np.clip(codes[:, j], 0.0, 1.0)
            out[:, j] = axis.position(axis.value(at)) if axis.step > 0 else at
        for j, n in self._n_choices.items():
            out[:, j] = np.clip(np.floor(codes[:, j]), 0, n - 1)
        return out

    def features(self, codes: Floats) -> Floats:
        """(n, columns): what the kernel measures distances in.

        A number is its position, 0.5 where it does not exist. A category is one-hot over sqrt(2), so that two
        different ones are at distance 1.
        """
        columns = []
        for j in range(len(self.names)):
            if j in self._n_choices:
                one_hot = codes[:, j, None] == np.arange(self._n_choices[j])
                columns.append(one_hot / math.sqrt(2))
            else:
                columns.append(np.nan_to_num(codes[:, j, None], nan=0.5))
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(codes), 0))

    def random(self, n: int, rng: np.random.Generator) -> Floats:
        """n codes, uniform, every parameter existing."""
        return self.at(rng.random((n, len(self.names))))

    def at(self, positions: Floats) -> Floats:
        """The codes at places in [0, 1) of each parameter's range; categories have equal shares."""
        places = positions.copy()
        for j, choices in self._n_choices.items():
            places[:, j] *= choices
        return self.snapped(places)

    def moved(self, codes: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """Each row changed in one to a few parameters: numbers by about `scale`, categories drawn anew."""
        n, d = codes.shape
        is_moved = rng.random((n, d)) < max(0.3, 2 / d)
        is_moved[np.arange(n), rng.integers(0, d, n)] = True
        steps = rng.normal(size=(n, d)) * scale * np.exp(0.7 * rng.normal(size=(n, 1)))
        filled = np.where(np.isnan(codes), self.random(n, rng), codes)
        target = filled + steps
        for j, axis in self._axes.items():
            if axis.step > 0:  # a move shorter than half a step would be none
                share = 1 / (1 + round((axis.distribution.high - axis.distribution.low) / axis.step))
                small = np.abs(steps[:, j]) < share
                if not axis.distribution.log:
                    target[:, j] = np.where(small, filled[:, j] + np.sign(steps[:, j]) * share, target[:, j])
        for j, choices in self._n_choices.items():
            target[:, j] = rng.integers(0, choices, n)
        return self.snapped(np.where(is_moved, target, filled))


def keys_of(codes: Floats) -> list[bytes]:
    """A key for each row of codes, the same for the same configuration."""
    return [row.tobytes() for row in np.round(codes, 9) + 0.0]


class Activity:
    """Which parameters exist in a configuration, learned from configurations that were seen.

    A define-by-run space does not say when a parameter exists. For each one that is missing somewhere, this
    looks for a parameter with few values that decides it in all rows seen; where there is none, it exists.
    """

    def __init__(self, codes: Floats, max_values: int = 16):
        exists = ~np.isnan(codes)
        share = exists.mean(axis=0) if len(codes) else np.ones(codes.shape[1])
        # Parents exist at least as often as the parameters below them.
        self._conditional = [int(j) for j in np.argsort(-share, kind="stable") if share[j] < 1]
        rounded = np.nan_to_num(np.round(codes, 9), nan=-1.0)
        values = {q: np.unique(rounded[:, q], return_inverse=True) for q in range(codes.shape[1])}
        candidates = sorted(
            (q for q in values if 1 < len(values[q][0]) <= max_values), key=lambda q: len(values[q][0])
        )
        self._rules: dict[int, tuple[int, Floats]] = {}
        for j in self._conditional:
            for q in candidates:
                known, which = values[q]
                counts = np.bincount(which, minlength=len(known))
                active = np.bincount(which, weights=exists[:, j], minlength=len(known))
                if q != j and share[q] >= share[j] and np.all((active == 0) | (active == counts)):
                    self._rules[j] = (q, known[active == 0])
                    break

    def apply(self, codes: Floats) -> Floats:
        """The same codes with NaN where a parameter would not exist."""
        out = codes.copy()
        for j in self._conditional:
            if j in self._rules:
                parent, off = self._rules[j]
                value = np.nan_to_num(np.round(out[:, parent], 9), nan=-1.0)
                out[np.isin(value, off), j] = np.nan
        return out


def at_position(distribution: BaseDistribution, position: float) -> Any:
    """The value at a place in [0, 1) of one parameter's range."""
    space = Coding({"": distribution})
    if not space.names:
        return distribution.to_external_repr(_only_value(distribution))
    return space.params(space.at(np.array([[position]]))[0])[""]


def _only_value(distribution: BaseDistribution) -> float:
    return 0.0 if isinstance(distribution, CategoricalDistribution) else float(distribution.low)
