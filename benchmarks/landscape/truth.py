"""The true profiles of a problem: its last value along one parameter, others at their best or averaged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.search.problems import Parameter, Params, Problem
from ubn_sweep.surrogate.declared import DeclaredSpace

Floats = npt.NDArray[np.float64]
PLACES = 17
OTHERS = 2048


@dataclass(frozen=True, kw_only=True)
class Task:
    """A problem, one of its parameters in the threshold's role, and what is true of it."""

    problem: Problem
    over: str
    finals: Callable[[Sequence[Params]], Floats]
    """Configurations -> the last value without its noise."""
    noise: float = 0.0
    """Standard deviation of what a value is off by chance in the examples, where that is known."""

    @property
    def name(self) -> str:
        return f"{self.problem.name}/{self.over}"

    @property
    def space(self) -> DeclaredSpace:
        return declared(self.problem.space)

    @property
    def floor(self) -> float:
        """Twice the median's regret."""
        return 2 * self.problem.median - self.problem.best


@dataclass(frozen=True, kw_only=True)
class Truth:
    """(17,) each, in the objective's unit; what is worse than the floor counts as the floor."""

    best: Floats
    average: Floats


def declared(space: Mapping[str, Parameter]) -> DeclaredSpace:
    """A problem's space as the landscape knows it."""
    return DeclaredSpace(
        distributions={name: parameter.distribution for name, parameter in space.items()},
        conditions={name: dict(parameter.when) for name, parameter in space.items() if parameter.when},
    )


def truth_of(task: Task) -> Truth:
    """By the same points at each place.

    No search goes beyond them: LCBench's surrogate has corners, seen by no one, that are better than all of its data.
    """
    space, rng = task.space, np.random.default_rng(0)
    column = space.column(task.over)
    others = space.points(OTHERS, rng, with_parameter=task.over)
    best, average = [], []
    for place in np.linspace(0, 1, PLACES):
        codes = others.copy()
        codes[:, column] = place
        codes = space.existing(space.coding.snapped(codes))
        values = np.maximum(_values(task, codes), task.floor)
        average.append(values.mean())
        best.append(values.max())
    return Truth(best=np.array(best), average=np.array(average))


def _values(task: Task, codes: Floats) -> Floats:
    return task.finals([task.space.coding.params(code) for code in codes])
