"""Sweeps whose process died without a word: killed, or gone with its machine. Stores show them running for ever."""

from __future__ import annotations

from ubn_sweep.errors import UserError
from ubn_sweep.records.events import SweepInterrupted
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal, stream
from ubn_sweep.records.standing import Standing
from ubn_sweep.sweep.running.lock import sweep_lock
from ubn_sweep.sweep.running.presence import is_alive

WORD = "killed"


def close_if_abandoned(folder: SweepFolder) -> bool:
    """Records the end of a sweep's last attempt where its process is gone and could not do it; whether it was so.

    `resume` goes on with it as before.

    Raises:
        UserError: the journal is damaged.
    """
    standing = Standing.of(stream(folder.path))
    if not standing.spec or standing.ended or standing.word is not None or is_alive(folder.driver):
        return False
    try:
        with sweep_lock(folder), Journal(folder.path) as journal:
            journal.append(SweepInterrupted(time_s=standing.last_s, word=WORD))
    except UserError:  # somebody goes on with it at this very moment, or may write here and we may not
        return False
    return True
