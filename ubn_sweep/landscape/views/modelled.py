"""The model of a sweep's last epoch, fitted once for all views that read it."""

from __future__ import annotations

import math
from functools import cached_property

from ubn_sweep.landscape.needs import PROFILE_TRIALS
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.seen import seen_of, space_of
from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.surrogate.last_epoch import LastEpochModel

MIN_FINISHED = 3
EVIDENCE = 5.0
"""How much more likely (in logarithms) the data must be with an influence of a parameter than without any."""


class Modelled:
    """A sweep with its model, which is fitted when it is first asked for; with the reason where it is not."""

    def __init__(self, sweep: SweepView) -> None:
        self.sweep = sweep
        self._evidence: dict[str, float] = {}

    def why_not(self, key: str | None = None) -> str | None:
        """Why nothing is read from the model, or nothing of the trials that have a parameter; None where it is."""
        if not self.space.coding.names:
            return "no parameter was varied"
        scored, finished = self.counts(key)
        if scored < PROFILE_TRIALS:
            return f"{scored} of {PROFILE_TRIALS} trials that it takes"
        if finished < MIN_FINISHED:
            return f"{finished} of {MIN_FINISHED} finished trials that it takes"
        return None

    def counts(self, key: str | None = None) -> tuple[int, int]:
        """(with a score, finished): of all trials, or of those that have a parameter."""
        scored = [t for t in self.sweep.trials if t.curve and (key is None or key in t.params)]
        finished = [t for t in self.sweep.finished if key is None or key in t.params]
        return len(scored), len(finished)

    def evidence(self, name: str) -> float:
        """The model's, of a parameter's influence; a fifth of a second when first asked for."""
        if name not in self._evidence:
            self._evidence[name] = self.model.evidence(name)
        return self._evidence[name]

    def matters(self, name: str) -> bool:
        """Whether the data are clearly more likely with a parameter's influence: the more parameters, the more so."""
        return self.evidence(name) >= self.bar

    @property
    def bar(self) -> float:
        """The evidence that this asks for."""
        return EVIDENCE + math.log(len(self.space.coding.names))

    @cached_property
    def space(self) -> DeclaredSpace:
        return space_of(self.sweep)

    @cached_property
    def model(self) -> LastEpochModel:
        """Fitted in a fraction of a second for a hundred trials; asked for only where `why_not` has no reason."""
        return LastEpochModel(self.space, seen_of(self.sweep, self.space), max_epochs=self.sweep.max_epochs)
