"""Whether a sweep can map what its spec says."""

from __future__ import annotations

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.source import Source
from ubn_sweep.sweep.spec.parameters import ConstantParameter, FloatParameter, IntParameter, OrderedParameter
from ubn_sweep.sweep.spec.spec import SweepSpec


def check_map(spec: SweepSpec, source: Source) -> None:
    """Checks the axis, what it is mapped by, and the kind of early stopping.

    Raises:
        UserError: the axis is no range of the space, `by` no listed parameter of it, trials wait at rungs, or they are
            judged by two objectives.
    """
    if spec.search.goal != "map":
        return
    if spec.objective.second is not None:
        raise UserError(
            f"{source.at(('search', 'goal'))}: a map is of one objective, but the spec has two: leave one out"
        )
    of = spec.search.map
    where = source.at(("search", "map", "over"))
    _check_key(of.over, spec, where)
    parameter = spec.space[of.over]
    if isinstance(parameter, OrderedParameter):
        several = len(parameter.values) > 1
    else:
        several = isinstance(parameter, FloatParameter | IntParameter) and parameter.low < parameter.high
    if not several:
        raise UserError(
            f"{where}: `{of.over}` must be a range, or ordered with several values: map another one"
        )
    for key in of.by:
        where = source.at(("search", "map", "by"))
        _check_key(key, spec, where)
        item = spec.space[key]
        if key == of.over or isinstance(item, ConstantParameter | FloatParameter | IntParameter):
            raise UserError(
                f"{where}: `{key}` must be a choice or ordered, and not the axis: list its values"
            )
    if spec.early_stopping is not None and spec.early_stopping.kind == "promote":
        raise UserError(
            f"{source.at(('early_stopping', 'kind'))}: a map compares trials with their neighbours, which `stop` does "
            "and `promote` does not: take `kind: stop`, or `early_stopping: null`"
        )


def _check_key(key: str, spec: SweepSpec, where: str) -> None:
    if key not in spec.space:
        near = schema.did_you_mean(key, list(spec.space))
        raise UserError(f"{where}: `{key}` is not varied{near}; the space has {', '.join(spec.space)}")
