"""What a race trains next, in place of a sampler: it knows the trials alone, so that a restart decides the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ubn_sweep import schema
from ubn_sweep.records.events import PointRefused, SweepEnded
from ubn_sweep.records.race import RaceConfig
from ubn_sweep.records.racing import RaceStanding, due, standing
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.spec.space import Params, Space

OUT = "its config is out of the race"


class RaceSuggestions:
    """The trainings that are due, round by round. It has the methods of Suggestions.

    Args:
        trials: the sweep's own, which it looks at whenever it is asked.
    """

    def __init__(self, race: RaceConfig, space: Space, trials: Mapping[int, SweepTrial]) -> None:
        self._race = race
        self._space = space
        self._trials = trials
        self._places: dict[int, tuple[int, int] | None] = {}
        self.refused: list[PointRefused] = []
        """None is: the configs were trained before."""

    def next(self, trials: int) -> tuple[Params, str] | None:
        """Params and their origin of the next training; None where there is none, or a look must come first."""
        found = self._standing()
        begun = {self._place(trial) for trial in self._trials.values()}
        for entrant, number in due(self._race, found):
            if (entrant, number) not in begun:
                held_out = ", held out" if number >= self._race.choosing else ""
                origin = f"{self._race.entrants[entrant].name}, round {number + 1}{held_out}"
                return self._race.params(entrant, number), origin
        return None

    def is_audit(self, trial: int, origin: str) -> bool:
        return False

    def config(self, params: Params, number: int) -> dict[str, Any]:
        """The whole config of a trial, as plain mappings. Its seed is the round's."""
        seed = params["seed"]
        assert isinstance(seed, int)
        return schema.to_plain(self._space.config(params, seed=seed))

    def why_none(self, trials: int) -> str | None:
        """Why no more trainings are made, though more were foreseen; None where that is not so."""
        if trials >= self._race.most_trainings:
            return None
        found = self._standing()
        begun = {self._place(trial) for trial in list(self._trials.values())}
        if not found.is_chosen or any(place not in begun for place in due(self._race, found)):
            return None
        return f"{len(found.left)} of {len(self._race.runners)} left the race early: it ended sooner"

    def gives_up(self, trial: SweepTrial) -> bool:
        """Whether a training that runs is of no use any more: its config has left the race."""
        place = self._place(trial)
        found = self._standing()
        return place is not None and place[0] in found.left and place not in due(self._race, found)

    # ---------------------------------------------------------------- from the journal

    def refuse(self, event: PointRefused) -> None:
        self.refused.append(event)

    def accept(self) -> None:
        """What was accepted is among the trials."""

    def ask_for(self, trials: int) -> None:
        """As many as the race takes."""

    def end(self, event: SweepEnded, trials: int) -> None:
        """The trials say by themselves that nothing is left."""

    # ---------------------------------------------------------------- inside

    def _standing(self) -> RaceStanding:
        ended = {
            place: trial.score if trial.status == "completed" else math.nan
            for trial in list(self._trials.values())
            if trial.status is not None and (place := self._place(trial)) is not None
        }
        return standing(self._race, ended)

    def _place(self, trial: SweepTrial) -> tuple[int, int] | None:
        if trial.number not in self._places:
            self._places[trial.number] = self._race.place_of(trial.params)
        return self._places[trial.number]
