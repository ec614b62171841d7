"""Which trials that had ended go on when their sweep does, and from where.

They are known from the state alone, and from what was changed since the last attempt began: a resume that is killed
among its first records is completed by the next one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubn_sweep.dotted import is_below, value_at
from ubn_sweep.records.events import TrialRetried
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.running.places import checkpoints_of, stored_checkpoints
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.training.checkpoint_folder import epoch_of

BUDGET = "training.epochs"


@dataclass(frozen=True, kw_only=True)
class TakenUp:
    """A trial that goes on."""

    event: TrialRetried
    saved_epoch: int
    """Of the checkpoint that it goes on from; 0 for none."""


def going_on(
    state: SweepState, folder: SweepFolder, *, changed: Iterable[str], retry_failed: bool
) -> list[TakenUp]:
    """The trials that are taken up again.

    Args:
        changed: keys of the spec that were changed since the last attempt began.
        retry_failed: whether failed ones are, too.
    """
    promotes = any(is_below(key, "early_stopping", f"base.{BUDGET}") for key in changed)
    found = []
    for trial in state.trials.values():
        why = _why(state, trial, promotes=promotes, retry_failed=retry_failed)
        if why is not None:
            found.append(_taken_up(state, folder, trial, why))
    return found


def in_words(taken_up: Sequence[TakenUp]) -> list[str]:
    """What the user is told of them."""
    lines = []
    failed = sum(one.event.was == "failed" for one in taken_up)
    if failed:
        lines.append(f"{failed} failed trials are tried again")
    saved = [one.saved_epoch for one in taken_up if one.event.was not in (None, "failed")]
    if saved:
        anew = saved.count(0)
        line = f"{len(saved)} trials that had ended go on, {len(saved) - anew} of them from their checkpoints"
        removed = f", {anew} from the start: no checkpoints are kept of them (resources.keep_checkpoints is for that)"
        lines.append(line + (removed if anew else ""))
    return lines


def restore_checkpoint(spec: SweepSpec, folder: SweepFolder, trial: SweepTrial) -> None:
    """Where only the copy among the best ones is left of a trial's checkpoints, the trial gets it back."""
    kept = folder.best / f"trial-{trial.number:04d}"
    own = checkpoints_of(spec, folder, trial.number)
    if not kept.is_dir() or own.newest() is not None:
        return

    def copy(beside: Path) -> None:
        shutil.copytree(kept, beside, dirs_exist_ok=True)

    own.remove()
    own.save(trial.epoch, copy)


def remove_checkpoints(state: SweepState, folder: SweepFolder) -> None:
    """Of a sweep that is over: all but those of trials that a stop rule ended, since a resume may lift it."""
    if state.spec.resources.keep_checkpoints:
        return
    kept = {folder.checkpoint(trial.number) for trial in state.trials.values() if _was_cut_short(trial)}
    for path in folder.checkpoints.glob("*"):
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):  # a storage that is away keeps them: the sweep is over all the same
        for number in stored_checkpoints(state.spec, folder):
            if not _was_cut_short(state.trials[number]):
                checkpoints_of(state.spec, folder, number).remove()
    if not any(folder.checkpoints.glob("*")):
        shutil.rmtree(folder.checkpoints, ignore_errors=True)


def _why(state: SweepState, trial: SweepTrial, *, promotes: bool, retry_failed: bool) -> str | None:
    grown = value_at(trial.config, BUDGET) != state.max_epochs
    if trial.status is None:
        return f"the budget is {state.max_epochs} epochs now" if grown else None
    if trial.status == "failed":
        return "it had failed" if retry_failed else None
    if trial.status == "completed":
        return f"the budget is {state.max_epochs} epochs now" if trial.epoch < state.max_epochs else None
    if _was_cut_short(trial):
        return "the sweep goes on"
    if trial.status == "stopped" and trial.stopped_by == "rungs" and promotes:
        passes = state.rungs is None or state.rungs.lets_go_on(trial.number)
        return "early stopping lets it go on" if passes else None
    return None


def _was_cut_short(trial: SweepTrial) -> bool:
    return trial.status == "stopped" and trial.stopped_by == "rule"


def _taken_up(state: SweepState, folder: SweepFolder, trial: SweepTrial, why: str) -> TakenUp:
    """With the budget as it is by now. What was trained under another one, behind the checkpoint, does not stand."""
    saved = _saved_epoch(state.spec, folder, trial)
    changes: dict[str, Any] = {}
    stands = None
    if value_at(trial.config, BUDGET) != state.max_epochs:
        changes[BUDGET] = state.max_epochs
        # The checkpoint's own epoch is reported once more, with the metrics that lie beside it.
        stands = None if saved >= trial.epoch else max(saved - 1, 0)
    where = f"from the checkpoint of epoch {saved}" if saved > 0 else "from the start"
    event = TrialRetried(
        time_s=time.time(),
        trial=trial.number,
        was=trial.status,
        epoch=stands,
        changes=changes,
        reason=f"{why}: {where}",
    )
    return TakenUp(event=event, saved_epoch=saved)


def _saved_epoch(spec: SweepSpec, folder: SweepFolder, trial: SweepTrial) -> int:
    """Of the newest checkpoint; 0 where there is none."""
    newest = checkpoints_of(spec, folder, trial.number).newest()
    if newest is not None:
        return epoch_of(newest)
    return trial.epoch if (folder.best / f"trial-{trial.number:04d}").is_dir() else 0
