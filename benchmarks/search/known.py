"""Problems with known curves as sweeps of ubn-sweep: a spec whose task states the parameters and trains nothing."""

import sys
from dataclasses import dataclass, field, make_dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.search.problems import Params, Problem
from ubn_sweep.records.metrics import Metric
from ubn_sweep.sweep.spec.loading import spec_of_mapping
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training.run import Run
from ubn_sweep.training.task import Task

METRIC = "value"
_SECTION = "of"
"""The section of the config that holds the problem's parameters."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The budget of one trial."""

    epochs: int


class Known(Task):
    """Its curves are known, so no trial of it is ever run."""

    metrics = (Metric(name=METRIC, label="value", direction="max"),)

    def start(self, config: Any, *, threads: int | None = None, hold_out: bool = True) -> Run:
        raise NotImplementedError("the curves are known: simulate() reports them")


def spec_of(problem: Problem, *, search: dict[str, Any], early_stopping: dict[str, Any]) -> SweepSpec:
    """The spec that searches a problem; `search` and `early_stopping` are written as in YAML."""
    space = {}
    for name, parameter in problem.space.items():
        when = {f"{_SECTION}.{parent}": list(values) for parent, values in parameter.when.items()}
        space[f"{_SECTION}.{name}"] = {**_entry(parameter.distribution), "when": when}
    return spec_of_mapping(
        {
            "name": "known",
            "task": f"{__name__}:{_task_of(problem)}",
            "base": {"training": {"epochs": problem.max_epochs}},
            "space": space,
            "search": search,
            "early_stopping": early_stopping,
        }
    )


def params_of(params: Params) -> Params:
    """The problem's parameters among those of a trial."""
    return {name.removeprefix(f"{_SECTION}."): value for name, value in params.items()}


def _entry(distribution: BaseDistribution) -> dict[str, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return {"type": "choice", "values": list(distribution.choices)}
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    kind = "int" if isinstance(distribution, IntDistribution) else "float"
    entry = {"type": kind, "low": distribution.low, "high": distribution.high, "log": distribution.log}
    step = None if distribution.log else distribution.step
    return entry if step is None else {**entry, "step": step}


def _task_of(problem: Problem) -> str:
    """The name of a class in this module that states the problem's parameters; made once."""
    name = "Problem_" + "".join(c if c.isalnum() else "_" for c in problem.name)
    module = sys.modules[__name__]
    if not hasattr(module, name):
        fields = [(key, *_field_of(parameter.distribution)) for key, parameter in problem.space.items()]
        section = make_dataclass("Section", fields, frozen=True, kw_only=True)
        config = make_dataclass(
            "Config",
            [
                ("training", Training),
                (_SECTION, section, field(default_factory=section)),
                ("seed", int, 0),
                ("provenance", type(None), None),
            ],
            frozen=True,
            kw_only=True,
        )
        setattr(module, name, type(name, (Known,), {"Config": config}))
    return name


def _field_of(distribution: BaseDistribution) -> tuple[type, Any]:
    """Type and default of one parameter."""
    if isinstance(distribution, CategoricalDistribution):
        first = distribution.choices[0]
        return type(first), first
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return (int if isinstance(distribution, IntDistribution) else float), distribution.low
