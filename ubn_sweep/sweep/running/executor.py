"""Who runs a sweep's trials: any executor, so that a sweep needs Ray only where Ray runs it."""

from __future__ import annotations

from typing import Protocol

from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.sweep.deciding.state import SweepState


class Executor(Protocol):
    """Runs trials somewhere."""

    def check(self) -> None:
        """Refuses what can be known before a sweep has a folder, and so a name.

        Raises:
            UserError: there is nothing to run on.
        """

    def run(self, state: SweepState, *, folder: SweepFolder, attempt: int) -> None:
        """Runs what remains of a sweep; returns when all of it ended, or when the user interrupted it.

        Args:
            folder: the sweep's, for checkpoints and files of the executor's own.
            attempt: how often the sweep was started, from 1.

        Raises:
            UserError: there is nothing to run on.
        """
