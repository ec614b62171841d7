"""The sampler's memory: what it is told of the journal's events, and its next suggestion."""

from __future__ import annotations

import math
from collections.abc import Hashable

from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from ubn_sweep.errors import UserError
from ubn_sweep.records.events import OPTUNA_STATES
from ubn_sweep.sweep.deciding.samplers import LISTS, READ_RUNNING, Lesson, lesson_of, make_sampler
from ubn_sweep.sweep.deciding.samplers.grid import NothingLeftError
from ubn_sweep.sweep.deciding.samplers.qmc import QmcSampler
from ubn_sweep.sweep.deciding.study import SamplerStudy
from ubn_sweep.sweep.spec.own_sampler import own_sampler
from ubn_sweep.sweep.spec.space import Params, Space
from ubn_sweep.sweep.spec.spec import SearchConfig, is_own

STATE_OF_STATUS = {status: TrialState[name] for status, name in OPTUNA_STATES.items()}
RANDOM_FOR_DUPLICATE = "random, to avoid a duplicate"
RANDOM_AFTER_REFUSALS = "random, after points that are not allowed"
RANDOM_FOR_AUDIT = "random, an audit"
FRESH_ATTEMPTS = 200
"""Random points tried in search of one that no trial had."""
LARGEST_LISTED = 20_000
"""Points of a space that are listed, to find the last fresh ones; a larger one where none turns up is used up."""


class SearchMemory:
    """All trials so far as the sampler sees them; scores, one or two, are turned so that higher is better.

    It is in memory because a database that is ahead of, or behind, the sweep makes restarts inexact; the journal
    rebuilds it. What trial n gets depends on the seed, n and the trials before alone; a sampler from elsewhere, which
    need not promise that, is asked again for what it suggested before, in the same order.
    """

    def __init__(
        self,
        space: Space,
        search: SearchConfig,
        *,
        rung_levels: tuple[int, ...],
        max_epochs: int,
        objectives: int = 1,
    ) -> None:
        self._space = space
        self._seed = search.seed
        self._audit_every = search.audit_every
        self._is_own = is_own(search.sampler)
        self._sampler = (
            own_sampler(search)
            if self._is_own
            else make_sampler(
                search.sampler,
                seed=search.seed,
                rung_levels=rung_levels,
                max_epochs=max_epochs,
                options=search.sampler_options,
                names=space.keys,
                listed=space.listed,
                declared=space.declared,
                map=search.map if search.goal == "map" else None,
                objectives=objectives,
            )
        )
        self._study = SamplerStudy(space, self._sampler, objectives=objectives)
        self._name = search.sampler
        self._lesson = lesson_of(search.sampler, objectives)
        self._ids: dict[int, int] = {}
        """Trial -> its id in the study."""
        self._last: dict[int, tuple[int, tuple[float, ...]]] = {}
        """Epoch and scores of a running trial's last report; no number where it diverges."""
        self._worst: tuple[float, ...] | None = None
        """Of each objective the worst that a trial ended with; None before one did."""
        self._resting: set[int] = set()
        """Trials that wait at a rung, and are told as stopped."""
        self._seen: set[Hashable] = set()
        self._every_point = space.every_point(LARGEST_LISTED)

    def add(self, number: int, params: Params, origin: str | None = None) -> None:
        """A trial starts. `origin` is what `suggest` said; None for one that is tried again."""
        self._ids[number] = self._begin(params, origin)

    def refuse(self, params: Params, origin: str) -> None:
        """The trial's config does not allow a point: to the sampler, it is a trial that failed at once."""
        state, _ = self._told("failed", has_score=False)
        refused = self._begin(params, origin)
        if self._lesson is Lesson.COMPLETE and self._worst is not None:
            self._study.end(refused, TrialState.COMPLETE, list(self._worst))
        else:
            self._study.end(refused, state, None)

    def report(self, number: int, epoch: int, *scores: float) -> None:
        """A trial finished an epoch; a score that is not finite is kept as NaN, for the sampler to learn from."""
        finite = tuple(score if math.isfinite(score) else math.nan for score in scores)
        self._last[number] = epoch, finite
        if self._lesson is Lesson.READ:  # TPE ranks what ended early by how far it came, divergence included
            self._study.show(self._ids[number], epoch, *finite)

    def rest(self, number: int) -> None:
        """A trial waits at a rung: for a sampler that learns from ended trials alone, it is a stopped one till then."""
        if self._name not in READ_RUNNING:
            self.end(number, "stopped")
            self._resting.add(number)

    def go_on(self, number: int, params: Params) -> None:
        """A trial that had waited trains on: to such a sampler another one of the same params, as no ended one can."""
        if number in self._resting:
            self._resting.discard(number)
            self.add(number, params)

    def end(self, number: int, status: str) -> None:
        """A trial is over; one without a finite score has failed, whatever else it was."""
        if number in self._resting:
            self._resting.discard(number)
            return
        epoch, scores = self._last.pop(number, (1, (math.nan,)))
        state, has_result = self._told(status, has_score=all(map(math.isfinite, scores)))
        if has_result:
            self._worst = scores if self._worst is None else tuple(map(min, self._worst, scores))
        if self._lesson is Lesson.COMPLETE:
            self._end_complete(number, scores if has_result else self._worst)
            return
        if has_result and self._lesson is Lesson.WORST:
            self._study.show(self._ids[number], epoch, *scores)
        elif status == "diverged" and self._lesson is Lesson.READ:  # whatever it had reached
            self._study.show(self._ids[number], epoch, *(math.nan for _ in scores))
        self._study.end(self._ids[number], state, list(scores) if has_result else None)

    def add_prior(self, params: Params, scores: dict[int, float], status: str) -> None:
        """A finished trial of an earlier sweep. It may be sampled again: its result is not this sweep's."""
        if self._name in LISTS:
            return
        state, has_result = self._told(status, has_score=bool(scores))
        shown = scores if has_result or self._lesson is not Lesson.WORST else {}
        if status == "diverged" and self._lesson is not Lesson.WORST:
            shown = {**scores, max(scores, default=0) + 1: math.nan}
        self._study.add(params, state, shown, scores[max(scores)] if has_result else None)

    def _end_complete(self, number: int, scores: tuple[float, ...] | None) -> None:
        state = TrialState.FAIL if scores is None else TrialState.COMPLETE
        self._study.end(self._ids[number], state, None if scores is None else list(scores))

    def _told(self, status: str, *, has_score: bool) -> tuple[TrialState, bool]:
        """How the sampler's study calls an end, and whether it has a result."""
        state = STATE_OF_STATUS[status]
        if has_score and state != TrialState.FAIL:
            return state, True
        return (TrialState.PRUNED if self._lesson is Lesson.WORST else TrialState.FAIL), False

    def suggest(self, number: int, *, at_random: str | None = None) -> tuple[Params, str] | None:
        """Params that are new to the sweep, and who suggested them; None where none were found.

        They belong to the trial that `add` is called for next, or are refused by `refuse`. `number` counts the points
        that were suggested before; `at_random` leaves the sampler out, and is the origin then.
        """
        if self.is_used_up:
            return None
        self._study.open()
        if at_random is None or self._name in LISTS:
            try:
                params = self._asked()
            except NothingLeftError:
                self._study.give_up()
                return None
            if not self.has_seen(params):
                return params, self._name
        return self._suggest_at_random(number, RANDOM_FOR_DUPLICATE if at_random is None else at_random)

    @property
    def is_used_up(self) -> bool:
        """Whether every point of a space of at most LARGEST_LISTED has been suggested."""
        return self._every_point is not None and len(self._seen) >= len(self._every_point)

    def has_seen(self, params: Params) -> bool:
        return self._space.identity(params) in self._seen

    def trials(self) -> list[FrozenTrial]:
        """The study's trials, priors included."""
        return self._study.trials

    def _suggest_at_random(self, number: int, origin: str) -> tuple[Params, str] | None:
        for attempt in range(FRESH_ATTEMPTS):
            sampler: BaseSampler = RandomSampler(seed=_mixed(self._seed, number, attempt))
            if origin == RANDOM_FOR_AUDIT and attempt == 0 and self._audit_every is not None:
                # Each point is uniform, and together they leave no gap.
                place = number // self._audit_every
                sampler = QmcSampler(seed=_mixed(self._seed, 1), names=self._space.keys, point=place)
            params = self._study.sample(sampler)
            if not self.has_seen(params):
                return params, origin
        if self._every_point is None:
            self._study.give_up()
            return None
        fresh = [params for params in self._every_point if not self.has_seen(params)]
        return fresh[_mixed(self._seed, number) % len(fresh)], origin

    def _asked(self) -> Params:
        """What the sweep's own sampler suggests for the open trial.

        Raises:
            UserError: it is from elsewhere, and raised.
        """
        if not self._is_own:
            return self._study.sample(self._sampler)
        try:
            return self._study.sample(self._sampler)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"search.sampler: `{self._name}` raised {type(error).__name__} ({reason}): mend it, and resume"
            ) from error

    def _begin(self, params: Params, origin: str | None) -> int:
        """A running trial of the study: the one that a suggestion was made for, if it was made in this process."""
        self._seen.add(self._space.identity(params))
        if self._is_own and not self._study.is_open and origin in (self._name, RANDOM_FOR_DUPLICATE):
            self._study.open()
            self._asked()
        return self._study.begin(params)


def _mixed(*numbers: int) -> int:
    """One 31-bit seed from several numbers."""
    import numpy as np

    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
