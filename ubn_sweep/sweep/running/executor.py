"""Who runs a sweep's trials: any executor, so that a sweep needs Ray only where Ray runs it."""

from __future__ import annotations

from typing import Protocol

from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.interruption import Interruption


class Executor(Protocol):
    """Runs trials somewhere."""

    def check(self) -> None:
        """Refuses what can be known before a sweep has a folder, and so a name.

        Raises:
            UserError: there is nothing to run on.
        """

    def run(self, dispatch: Dispatch, interruption: Interruption) -> None:
        """Runs what remains of a sweep; returns when all of it ended, or when the dispatch says to stop.

        Args:
            interruption: asks by KeyboardInterrupt to end at once, and can be asked.

        Raises:
            KeyboardInterrupt: the sweep was interrupted.
            UserError: there is nothing to run on.
        """
