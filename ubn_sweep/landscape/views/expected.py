"""What the model of the last epoch expects of trials' configs: their scores drawn towards what others like them had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.seen import codes_of, seen_of, space_of
from ubn_sweep.surrogate.last_epoch import LastEpochModel


def expected_at_the_end(sweep: SweepView, trials: Sequence[TrialView]) -> npt.NDArray[np.float64]:
    """(trials,) at the full budget, higher is better, in the objective's unit."""
    space = space_of(sweep)
    model = LastEpochModel(space, seen_of(sweep, space), max_epochs=sweep.max_epochs)
    mean, _ = model.mean_and_deviation(codes_of(sweep, space, trials))
    return model.scale.back(mean)
