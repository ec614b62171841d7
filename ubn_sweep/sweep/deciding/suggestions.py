"""The points that trials are made of, one after another, and why none is left."""

from __future__ import annotations

from typing import Any

from ubn_sweep import schema
from ubn_sweep.records.events import PointRefused, SweepEnded
from ubn_sweep.sweep.deciding.audits import is_due
from ubn_sweep.sweep.deciding.memory import RANDOM_AFTER_REFUSALS, RANDOM_FOR_AUDIT, SearchMemory
from ubn_sweep.sweep.deciding.samplers import FILL
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.deciding.warm_starts import first_points
from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SweepSpec

SEED_LIMIT = 2**31
REFUSALS_BEFORE_RANDOM = 5
"""In a row; a sampler that has settled on points which are not allowed would not come away from them."""
MOST_REFUSALS = 100
"""In a row; then the sweep ends."""
GRID_DONE = "every point of the grid has been tried: the sweep ended early"
EXHAUSTED = "the space holds no further config that differs: the sweep ended early"


class Suggestions:
    """The user's points and the task's warm starts first, then the sampler's.

    It knows how the journal's records bear on that: which points were refused, and whether a sweep has ended because
    none was left.
    """

    def __init__(self, spec: SweepSpec, space: Space, memory: SearchMemory) -> None:
        self._spec = spec
        self._space = space
        self._memory = memory
        self._first = first_points(space, spec.search)
        self.refused: list[PointRefused] = []
        """Points that the trial's config did not allow, in order."""
        self._refused_in_a_row = 0
        self._found_none = False
        self._asked = spec.search.trials
        """How many trials the spec that was in force asked for, while events are replayed."""

    def next(self, trials: int) -> tuple[Params, str] | None:
        """Params and their origin for the trial that follows so many; None where there are none."""
        for origin, params in self._first:
            if not self._memory.has_seen(params):
                return params, origin
        suggestion = self._memory.suggest(trials + len(self.refused), at_random=self._at_random(trials))
        self._found_none = suggestion is None
        return suggestion

    def is_audit(self, trial: int, origin: str) -> bool:
        """Whether a trial made of a suggestion is never stopped early."""
        return is_due(self._spec.search, trial) and origin not in {first for first, _ in self._first}

    def config(self, params: Params, number: int) -> dict[str, Any]:
        """The whole config of a trial, as plain mappings.

        Raises:
            UserError: it does not allow these params.
        """
        return schema.to_plain(self._space.config(params, seed=self._seed(number)))

    def gives_up(self, trial: SweepTrial) -> bool:
        """No trial that runs: early stopping judges them."""
        return False

    def why_none(self, trials: int) -> str | None:
        """Why there is none after so many trials, though more were asked for; None where that is not so."""
        if trials >= self._spec.search.trials:
            return None
        if self._found_none or self._memory.is_used_up:
            return GRID_DONE if self._spec.search.sampler == "grid" else EXHAUSTED
        if self._refused_in_a_row >= MOST_REFUSALS:
            return (
                f"the last {MOST_REFUSALS} points in a row were refused, the last of them because "
                f"{self.refused[-1].reason}; narrow the space"
            )
        return None

    # ---------------------------------------------------------------- from the journal

    def refuse(self, event: PointRefused) -> None:
        """A point is none to be tried."""
        self.refused.append(event)
        self._refused_in_a_row += 1

    def accept(self) -> None:
        """A trial was made of the last one."""
        self._refused_in_a_row = 0

    def ask_for(self, trials: int) -> None:
        """So many trials are wanted from here on."""
        self._asked = trials

    def end(self, event: SweepEnded, trials: int) -> None:
        """The sweep ended after so many trials."""
        went_out = event.reason == "" and self._refused_in_a_row < MOST_REFUSALS
        self._found_none = went_out and trials < self._asked

    # ---------------------------------------------------------------- inside

    def _at_random(self, trial: int) -> str | None:
        """Why no sampler is asked; None where it is."""
        if self._refused_in_a_row >= REFUSALS_BEFORE_RANDOM:
            return RANDOM_AFTER_REFUSALS
        if is_due(self._spec.search, trial) and self._spec.search.sampler not in FILL:
            return RANDOM_FOR_AUDIT
        return None

    def _seed(self, number: int) -> int:
        base = self._spec.base.seed
        if self._spec.search.trial_seeds == "same":
            return base
        return (base + number * self._space.task.seeds_per_trial(self._spec.base)) % SEED_LIMIT
