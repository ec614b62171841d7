"""What an Optuna storage is told of a trial's values and of its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ubn_sweep.records.events import OPTUNA_STATES, TrialEnded
from ubn_sweep.records.objectives import Objective
from ubn_sweep.records.trials import TrialRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ATTR_LAST = "last_values"
"""Both objectives' values after the last epoch; Optuna's intermediate values are the first one's."""
Values = dict[int, tuple[float, ...]]
"""Epoch -> the objectives' values, one or two."""


def state_of(ended: TrialEnded, last: tuple[float, ...] | None) -> Any:
    """COMPLETE needs a value."""
    from optuna.trial import TrialState

    state = TrialState[OPTUNA_STATES[ended.status]]
    return TrialState.FAIL if state == TrialState.COMPLETE and not is_value(last) else state


def end_attrs(ended: TrialEnded) -> dict[str, Any]:
    """What the storage is told of an end besides."""
    attrs = {"status": ended.status, "last_epoch": ended.epoch}
    return attrs | ({"reason": ended.reason} if ended.reason else {})


def values_of(trial: TrialRecord, objectives: Sequence[Objective]) -> Values:
    """Of the epochs that reported the first, ascending; NaN where the second is absent."""
    by_metric = [trial.values(objective.metric) for objective in objectives]
    return {epoch: tuple(found.get(epoch, math.nan) for found in by_metric) for epoch in by_metric[0]}


def last_of(values: Values) -> tuple[float, ...] | None:
    """After the last epoch; None before one."""
    return values[max(values)] if values else None


def recorded(trial: FrozenTrial) -> tuple[float, ...] | None:
    """What `last_of` was when the trial was written."""
    if ATTR_LAST in trial.user_attrs:
        return tuple(trial.user_attrs[ATTR_LAST])
    first = trial.intermediate_values
    return (first[max(first)],) if first else None


def is_value(last: tuple[float, ...] | None) -> bool:
    """Whether a trial has something to end with."""
    return last is not None and not any(map(math.isnan, last))
