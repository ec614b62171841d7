"""`logs`: what a trial printed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ubn_sweep.commands.common import home_folder
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder, find_sweep
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.trials import Trials

LOOK_EVERY_S = 0.5


def print_log(sweep: str, trial: int, *, follow: bool, home: Path | None) -> None:
    """Prints a trial's log, and what comes to it until the trial is over.

    Raises:
        UserError: there is no such sweep, or the trial has printed nothing.
    """
    folder = find_sweep(sweep, home_folder(home))
    path = folder.log(trial)
    if not path.exists():
        there = sorted(
            log.stem.removeprefix("trial-").lstrip("0") or "0" for log in path.parent.glob("*.log")
        )
        raise UserError(
            f"trial {trial} of {folder.name} has no log; there are those of {', '.join(there) or 'none'}: "
            "a trial has one from its start on, unless it ran in-process"
        )
    with path.open("rb") as file:
        while True:
            over = not follow or _over(
                folder, trial
            )  # asked first: what it printed before its end is read below
            sys.stdout.buffer.write(file.read())
            sys.stdout.buffer.flush()
            if over:
                return
            time.sleep(LOOK_EVERY_S)


def _over(folder: SweepFolder, trial: int) -> bool:
    record = Trials(read_journal(folder.path))
    return record.ended is not None or record[trial].ended is not None
