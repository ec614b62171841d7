"""A sweep's trials as the model of the last epoch takes them: codes in the declared space, values, known errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.numbers import binomial_error
from ubn_sweep.surrogate.declared import DeclaredSpace, coded_value, declared_space
from ubn_sweep.surrogate.last_epoch import Seen
from ubn_sweep.texts import as_recorded


def space_of(sweep: SweepView) -> DeclaredSpace:
    """What the spec declared."""
    return declared_space(sweep.space)


def seen_of(sweep: SweepView, space: DeclaredSpace) -> Seen:
    """All epochs of all trials, higher is better.

    One that diverged ends as badly as the worst; one that failed says nothing.
    """
    trials = [trial for trial in sweep.trials if trial.curve or trial.status == "diverged"]
    codes = codes_of(sweep, space, trials)
    better = sweep.metric.better
    worst = min((better(trial.last_score) for trial in trials if trial.curve), default=0.0)
    parts = [np.empty((0, 4))]
    for place, trial in enumerate(trials):
        epochs = sorted(trial.curve)
        values = [better(trial.curve[epoch]) for epoch in epochs]
        if trial.status == "diverged":
            epochs, values = [*epochs, sweep.max_epochs], [*values, worst]
        part = np.empty((len(epochs), 4))
        part[:, 0], part[:, 1], part[:, 2], part[:, 3] = place, epochs, values, _error(sweep, trial)
        parts.append(part)
    content = np.concatenate(parts)
    return Seen(
        codes=codes,
        trial=content[:, 0].astype(np.int64),
        epoch=content[:, 1],
        value=content[:, 2],
        error=content[:, 3],
    )


def codes_of(sweep: SweepView, space: DeclaredSpace, trials: Sequence[TrialView]) -> npt.NDArray[np.float64]:
    """(trials, parameters) where their configs lie in the declared space."""
    return space.coding.codes([coded(sweep.space, trial.params) for trial in trials])


def coded(space: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's parameters as the distributions have them; a table writes some values as text."""
    found: dict[str, Any] = {}
    for key, value in params.items():
        item = space.get(key, {"type": "constant"})
        if item["type"] in ("choice", "ordered"):
            same = [v for v in item["values"] if v == value or as_recorded(v) == value]
            if same:
                found[key] = coded_value(item, same[0])
        elif item["type"] != "constant":
            found[key] = value
    return found


def _error(sweep: SweepView, trial: TrialView) -> float:
    """The variance of a share by chance in the validation examples; the same ones in all of its epochs."""
    if not sweep.metric.is_share or sweep.validation_examples is None or not trial.curve:
        return 0.0
    return binomial_error(trial.last_score, sweep.validation_examples) ** 2
