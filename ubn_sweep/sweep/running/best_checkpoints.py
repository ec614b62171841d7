"""The final checkpoints of the best trials, where the spec asks for them."""

from __future__ import annotations

import shutil

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.ranking import in_order
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.places import checkpoints_of


class BestCheckpoints:
    """Keeps `best/trial-0007` of as many trials as the spec says: the best ones of those that trained to the end."""

    def __init__(self, state: SweepState, folder: SweepFolder) -> None:
        self._state = state
        self._folder = folder
        for trial in state.trials.values():  # whose end a kill kept from this
            if trial.status == "completed":
                self.consider(trial.number)

    def consider(self, number: int) -> None:
        """Keeps a completed trial's last checkpoint if it is among the best, and drops what is not any more."""
        count = self._state.spec.resources.keep_best
        trials = self._state.trials
        if count == 0 or trials[number].status != "completed" or not trials[number].feasible:
            return
        checkpoints = checkpoints_of(self._state.spec, self._folder, number)
        newest = checkpoints.newest()
        if newest is None:
            return
        kept = [int(path.name.removeprefix("trial-")) for path in self._folder.best.glob("trial-*")]
        ranked = [trial.number for trial in in_order(trials[other] for other in {*kept, number})]
        if number in ranked[:count]:
            self._folder.best.mkdir(exist_ok=True)
            target = self._folder.best / f"trial-{number:04d}"
            shutil.rmtree(target, ignore_errors=True)
            with checkpoints.fetched(newest) as found:
                # Within one disk it is a new name; what was fetched from elsewhere is a copy already.
                shutil.move(found, target) if found == newest else shutil.copytree(found, target)
        for other in ranked[count:]:
            shutil.rmtree(self._folder.best / f"trial-{other:04d}", ignore_errors=True)
