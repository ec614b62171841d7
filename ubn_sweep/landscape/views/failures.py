"""Trials that came to nothing, by the reason that they gave."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ubn_sweep.landscape.read import SweepView, TrialView

NUMBERS = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")
"""What differs between reasons that are the same: epochs, sizes, addresses."""


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Trials that failed, or diverged, for one reason."""

    status: str
    reason: str
    """As the first of them gave it, in a line; empty where none is recorded."""
    trials: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class FailuresView:
    """Most frequent first."""

    groups: tuple[FailureGroup, ...]
    all_failed: bool
    """Whether no trial of the sweep came to anything, while none runs that might."""

    def count(self, status: str) -> int:
        return sum(len(group.trials) for group in self.groups if group.status == status)


def failures_view(sweep: SweepView) -> FailuresView:
    """Groups what failed and what diverged by its reason, numbers aside."""
    found: dict[tuple[str, str], list[TrialView]] = {}
    for trial in sweep.trials:
        if trial.status in ("failed", "diverged"):
            found.setdefault((trial.status, NUMBERS.sub("#", first_line(trial.reason))), []).append(trial)
    groups = [
        FailureGroup(
            status=status,
            reason=first_line(trials[0].reason),
            trials=tuple(trial.number for trial in trials),
        )
        for (status, _), trials in found.items()
    ]
    return FailuresView(
        groups=tuple(sorted(groups, key=lambda group: -len(group.trials))),
        all_failed=bool(sweep.trials) and sum(len(group.trials) for group in groups) == len(sweep.trials),
    )


def first_line(reason: str) -> str:
    """Of an error and its traceback, the error."""
    return reason.partition("\n")[0].strip()
