"""Which trials that had ended go on when their sweep does, and what they need of their checkpoints until then."""

from __future__ import annotations

import shutil
import time

from ubn_sweep.records.events import TrialRetried
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState


def going_on(state: SweepState) -> list[TrialRetried]:
    """The trials that a stop rule had ended, which does not hold any more."""
    now_s = time.time()
    return [
        TrialRetried(time_s=now_s, trial=trial.number, was="stopped", reason="the sweep goes on")
        for trial in state.trials.values()
        if trial.status == "stopped" and trial.stopped_by == "rule"
    ]


def remove_checkpoints(state: SweepState, folder: SweepFolder) -> None:
    """Of a sweep that is over: all but those of trials that a stop rule ended, since a resume may lift it."""
    kept = {
        folder.checkpoint(trial.number)
        for trial in state.trials.values()
        if trial.status == "stopped" and trial.stopped_by == "rule"
    }
    for path in folder.checkpoints.glob("*"):
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)
    if not any(folder.checkpoints.glob("*")):
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
