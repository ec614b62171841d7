"""A space as it was declared: its parameters, and under which conditions each of them exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import qmc

from ubn_sweep.surrogate.coding import Coding

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MOST_DRAWN = 2**14
"""Points drawn at most in search of those where a parameter exists."""


@dataclass(frozen=True, kw_only=True)
class DeclaredSpace:
    """Parameters and conditions, for points in codes (n, parameters): NaN where a parameter does not exist."""

    distributions: Mapping[str, BaseDistribution]
    conditions: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    """Parameter -> {another of the space: its values under which the parameter exists}."""

    @cached_property
    def coding(self) -> Coding:
        return Coding(self.distributions)

    def column(self, name: str) -> int:
        """Where a parameter lies in a row of codes; ValueError where it has a single value."""
        return self.coding.names.index(name)

    def existing(self, codes: Floats) -> Floats:
        """The same codes with NaN for what does not exist there."""
        exists = np.ones(codes.shape, bool)
        for _ in range(1 + len(self._allowed)):  # as deep as conditions can be nested
            before = exists.copy()
            for child, parents in self._allowed.items():
                exists[:, child] = True
                for parent, allowed in parents.items():
                    near = np.isclose(codes[:, parent, None], allowed, atol=1e-9).any(axis=1)
                    exists[:, child] &= near & before[:, parent]
            if (exists == before).all():
                break
        return np.where(exists, codes, np.nan)

    def points(self, n: int, rng: np.random.Generator, *, with_parameter: str | None = None) -> Floats:
        """n points spread evenly over the space (Sobol's sequence, scrambled): those where a parameter exists.

        Raises:
            ValueError: it seems to exist nowhere.
        """
        engine = qmc.Sobol(d=max(len(self.coding.names), 1), scramble=True, rng=rng)
        found: list[Floats] = []
        drawn = 0
        while sum(map(len, found)) < n:
            size = 2 ** int(np.ceil(np.log2(max(n, 256))))
            codes = self.existing(self.coding.at(engine.random(size)[:, : len(self.coding.names)]))
            drawn += size
            if with_parameter is not None:
                codes = codes[~np.isnan(codes[:, self.column(with_parameter)])]
            found.append(codes)
            if drawn >= MOST_DRAWN and sum(map(len, found)) < n:
                raise ValueError(f"`{with_parameter}` must exist somewhere in the space, but was not met")
        return np.concatenate(found)[:n]

    @cached_property
    def _allowed(self) -> dict[int, dict[int, Floats]]:
        """Column -> {column of a parent: its codes under which the parameter exists}."""
        names = self.coding.names
        found: dict[int, dict[int, Floats]] = {}
        for child, parents in self.conditions.items():
            for parent, values in parents.items():
                if child in names and parent in names:
                    codes = self.coding.codes([{parent: value} for value in values])
                    found.setdefault(names.index(child), {})[names.index(parent)] = codes[
                        :, names.index(parent)
                    ]
        return found


def declared_space(space: Mapping[str, Mapping[str, Any]]) -> DeclaredSpace:
    """The space of a spec, in the plain mappings that a sweep records; constants are left out.

    An ordered parameter is known by the index of its value, so that neighbours are near.
    """
    distributions = {key: _distribution(item) for key, item in space.items() if item["type"] != "constant"}
    conditions: dict[str, dict[str, list[Any]]] = {}
    for key, item in space.items():
        for parent, allowed in (item.get("when") or {}).items():
            if parent in distributions:
                values = allowed if isinstance(allowed, list | tuple) else [allowed]
                conditions.setdefault(key, {})[parent] = [coded_value(space[parent], v) for v in values]
    return DeclaredSpace(distributions=distributions, conditions=conditions)


def coded_value(parameter: Mapping[str, Any], value: Any) -> Any:
    """A parameter's value as its distribution has it: the index of an ordered one.

    Raises:
        ValueError: an ordered parameter has no such value.
    """
    return list(parameter["values"]).index(value) if parameter["type"] == "ordered" else value


def _distribution(item: Mapping[str, Any]) -> BaseDistribution:
    kind, log, step = item["type"], bool(item.get("log")), item.get("step")
    if kind == "float":
        return FloatDistribution(item["low"], item["high"], log=log, step=step)
    if kind == "int":
        return IntDistribution(item["low"], item["high"], log=log, step=1 if step is None else step)
    if kind == "ordered":
        return IntDistribution(0, len(item["values"]) - 1)
    return CategoricalDistribution(tuple(item["values"]))
