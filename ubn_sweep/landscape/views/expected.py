"""What the model of the last epoch expects of trials' configs: their scores drawn towards what others like them had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.needs import PROFILE_TRIALS
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.seen import codes_of, seen_of, space_of
from ubn_sweep.surrogate.last_epoch import LastEpochModel

Floats = npt.NDArray[np.float64]
LEAST_FINISHED = 3
"""Finished trials that it takes."""
TRIAL_EFFECT = 0.1
"""Expected variance of a trial's seed, on the model's scale. Maps expect less; with one seed each little is learned of
it, and a promise is to hold all the same: benchmarks/results/promise_coverage.md."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """(trials,) at the full budget, higher is better, in the objective's unit."""

    mean: Floats
    deviation: Floats
    """Of what a config gives on average, on the sweep's own examples."""
    training: Floats
    """Of one training about it: its seed, and all else that no smooth influence of the config explains."""


def can_expect(sweep: SweepView) -> bool:
    """Whether there are trials enough, and one objective."""
    scored = sum(bool(trial.curve) for trial in sweep.trials)
    return sweep.second is None and scored >= PROFILE_TRIALS and len(sweep.finished) >= LEAST_FINISHED


def expected_at_the_end(sweep: SweepView, trials: Sequence[TrialView]) -> Expected:
    """Of trials of the sweep, stopped ones too; `can_expect` must hold."""
    space = space_of(sweep)
    seen = seen_of(sweep, space)
    model = LastEpochModel(space, seen, max_epochs=sweep.max_epochs, trial_effect=TRIAL_EFFECT)
    mean, deviation = model.mean_and_deviation(codes_of(sweep, space, trials))
    value = model.scale.back(mean)
    unit = 1 / model.scale.slope(value)
    return Expected(mean=value, deviation=deviation * unit, training=model.training_deviation * unit)
