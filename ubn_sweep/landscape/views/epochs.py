"""At which epoch trials compare as equals, and which of them came that far."""

from __future__ import annotations

from ubn_sweep.landscape.needs import CURVE_TRIALS
from ubn_sweep.landscape.read import SweepView, TrialView

COMMON_SHARE = 0.75


def common_epoch(sweep: SweepView) -> int | None:
    """The last epoch before the full budget that three quarters of the scored trials reached; None without one.

    At that epoch nearly all trials compare as equals, while those that finished were selected by early stopping.
    """
    scored = [trial for trial in sweep.trials if trial.curve]
    enough = max(CURVE_TRIALS, COMMON_SHARE * len(scored))
    for epoch in range(sweep.max_epochs - 1, 0, -1):
        if len(reached(sweep, epoch)) >= enough:
            return epoch
    return None


def reached(sweep: SweepView, epoch: int) -> list[TrialView]:
    """Trials with a score at that epoch."""
    return [trial for trial in sweep.trials if epoch in trial.curve]
