"""What of a sweep's spec may change when it goes on: what leaves its trials comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ubn_sweep import schema
from ubn_sweep.dotted import flatten, is_below, set_at
from ubn_sweep.errors import UserError
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.loading import respecified
from ubn_sweep.sweep.spec.spec import SweepSpec

CHANGEABLE = (
    "search.trials",
    "search.goal",
    "search.map",
    "search.audit",
    "early_stopping",
    "stop_when",
    "resources",
    "tracking",
    "on_end",
    "description",
    "base.dataset.root",
)
"""How many trials, what new ones are after, when one or all are stopped, what it takes, where records and data lie; the
rest was compared."""
GROWING = "base.training.epochs"
"""The full budget may become larger: trials go on to it."""
MOVABLE = ("dataset.root",)
"""Keys of the trial config that a change is handed on by, to trials that had begun."""


def changed_spec(spec: SweepSpec, assignments: Sequence[str]) -> tuple[SweepSpec, dict[str, Any]]:
    """A recorded spec with `--set` applied, and which keys that changes.

    Raises:
        UserError: a key is unknown, a value does not fit, or trials would not be comparable any more.
    """
    new = respecified(spec, assignments)
    changes = _differences(spec, new)
    if GROWING in changes and new.base.training.epochs < spec.base.training.epochs:
        raise UserError(
            f"--set: training.epochs can only grow, from {spec.base.training.epochs} on, but got "
            f"{new.base.training.epochs}: trials that went further are there; start a new sweep"
        )
    refused = [key for key in changes if not is_below(key, *CHANGEABLE, GROWING)]
    if refused:
        raise UserError(
            f"--set: `{refused[0].removeprefix('base.')}` would make new trials incomparable with those there are; "
            f"a sweep can change {', '.join(key.removeprefix('base.') for key in (*CHANGEABLE, GROWING))}: start a new "
            "sweep, "
            "which may --learn-from this one"
        )
    return new, changes


def check_same(recorded: SweepSpec, given: SweepSpec) -> None:
    """Refuses to go on with a sweep by a spec that is another one's; what can change by `--set` may differ.

    Raises:
        UserError: they differ.
    """
    search = replace(given.search, sampler_folder=recorded.search.sampler_folder)
    given = replace(given, name=recorded.name, task_folder=recorded.task_folder, search=search)
    other = [key for key in _differences(recorded, given) if not is_below(key, *CHANGEABLE)]
    if other:
        raise UserError(
            f"--or-resume: the sweep `{recorded.name}` was started with another `{other[0].removeprefix('base.')}`: "
            "choose another --name for this spec"
        )


def hand_on(state: SweepState) -> None:
    """Tells trials that had begun, and are to go on, where the data lies by now."""
    base = flatten(schema.to_plain(state.spec.base))
    for trial in state.trials.values():
        for key in MOVABLE:
            if trial.status is None and key in base and key not in state.spec.space:
                set_at(trial.config, key, base[key])


def _differences(old: SweepSpec, new: SweepSpec) -> dict[str, Any]:
    """Dotted key -> its new value; null for one that is gone."""
    before, after = flatten(schema.to_plain(old)), flatten(schema.to_plain(new))
    absent = object()
    return {
        key: after.get(key)
        for key in dict.fromkeys((*before, *after))
        if before.get(key, absent) != after.get(key, absent)
    }
