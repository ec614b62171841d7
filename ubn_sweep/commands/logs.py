"""`logs`: what a trial printed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ubn_sweep.commands.common import home_folder, spec_of
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder, find_sweep
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.running.places import logged_trials, read_log

LOOK_EVERY_S = 0.5
LOOK_AT_STORAGE_EVERY_S = 5.0


def print_log(sweep: str, trial: int, *, follow: bool, home: Path | None) -> None:
    """Prints a trial's log, and what comes to it until the trial is over.

    Raises:
        UserError: there is no such sweep, or the trial has printed nothing.
    """
    folder = find_sweep(sweep, home_folder(home))
    spec, printed = spec_of(folder), 0
    log = read_log(spec, folder, trial)
    if log is None:
        there = logged_trials(spec, folder)
        raise UserError(
            f"trial {trial} of {folder.name} has no log; there are those of "
            f"{', '.join(str(number) for number in there) or 'none'}: a trial has one from its start on, unless it ran "
            "in-process"
        )
    while True:
        over = not follow or _over(folder, trial)  # asked first: what it printed before its end is read below
        log = read_log(spec, folder, trial) or b""
        sys.stdout.buffer.write(log[printed:])
        sys.stdout.buffer.flush()
        printed = max(printed, len(log))
        if over:
            return
        time.sleep(LOOK_EVERY_S if spec.storage is None else LOOK_AT_STORAGE_EVERY_S)


def _over(folder: SweepFolder, trial: int) -> bool:
    record = Trials(read_journal(folder.path))
    return record.ended is not None or record[trial].ended is not None
