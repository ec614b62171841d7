"""Audit trials: drawn at random when they are made, and never stopped early.

All that a sweep knows of late epochs it knows of trials that were good at early ones. Audits are a random sample of
the space at all epochs: they say what early scores are worth, and whether early stopping misleads.
"""

from __future__ import annotations

from ubn_sweep.sweep.deciding.warm_starts import first_points
from ubn_sweep.sweep.spec.space import Space
from ubn_sweep.sweep.spec.spec import SearchConfig, SweepSpec


def is_due(search: SearchConfig, number: int) -> bool:
    """Whether the trial of that number is an audit, unless it is one of the first points.

    Every 12th trial of `auto` is random anyway: `audit: 12` takes just these.
    """
    every = search.audit_every
    return every is not None and number > 0 and number % every == 0


def audits_of(spec: SweepSpec) -> list[int]:
    """The numbers of the trials that will be audits."""
    if spec.search.audit_every is None:
        return []
    first = len(first_points(Space(spec), spec.search))
    return [number for number in range(first, spec.search.trials) if is_due(spec.search, number)]
