"""Who runs a sweep's trials: any executor, so that a sweep needs Ray only where Ray runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.interruption import Interruption
from ubn_sweep.sweep.spec.spec import SweepSpec


class Executor(Protocol):
    """Runs trials somewhere."""

    def check(self, spec: SweepSpec, home: Path) -> None:
        """Refuses what can be known before a sweep has a folder, and so a name.

        Args:
            home: the folder of the sweeps.

        Raises:
            UserError: there is nothing to run on, or a machine that would run trials cannot.
        """

    def run(self, dispatch: Dispatch, interruption: Interruption) -> None:
        """Runs what remains of a sweep; returns when all of it ended, or when the dispatch says to stop.

        Args:
            interruption: asks by KeyboardInterrupt to end at once, and can be asked.

        Raises:
            KeyboardInterrupt: the sweep was interrupted.
            UserError: there is nothing to run on.
        """
