"""A race: configs trained side by side on common fresh seeds, to settle which is best and what it is worth.

It is a sweep of its own, whose trials are made of entrants and rounds; `records/racing.py` says who is still in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.folder import SweepFolder, existing_sweeps
from ubn_sweep.records.journal import first_event

Scalar = bool | int | float | str | None


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A config of the sweep that is confirmed."""

    name: str
    """`trial 12`, or the task's name for its baseline: `bn`."""
    params: dict[str, Scalar]
    """Where it differs from the race's base, by dotted key; all entrants have the same keys."""
    trial: int | None = None
    """Its trial in that sweep; null for a baseline that the sweep did not try, which cannot win."""
    baseline: bool = False
    """Whether the winner is compared with it: then it trains in all rounds."""


@dataclass(frozen=True, kw_only=True)
class RaceConfig:
    """Who races, on which seeds, and by which rule losers leave."""

    of: str
    """The name of the sweep that is confirmed."""
    of_id: str
    entrants: tuple[Entrant, ...]
    rounds: tuple[dict[str, int], ...]
    """The seeds of each round, by dotted key, the same for all entrants: `seed`, and the one that splits the data."""
    choosing: int
    """So many rounds choose the winner; the others, of which nobody is chosen, say what it is worth."""
    error_rate: float = field(default=0.1)
    """At most how probable it is that the best entrant leaves the race by chance."""

    def __post_init__(self) -> None:
        if not self.entrants:
            raise ValueError("`entrants` must not be empty: a race is of one config or more")
        if not 0 <= self.choosing < len(self.rounds):
            raise ValueError(
                f"`0 <= choosing < rounds` must hold, but got {self.choosing} of {len(self.rounds)}: leave rounds "
                "that say what the winner is worth"
            )
        if not 0 < self.error_rate < 1:
            raise ValueError(f"`0 < error_rate < 1` must hold, but got {self.error_rate}: 0.1 is usual")

    @property
    def runners(self) -> tuple[int, ...]:
        """The entrants that can win."""
        return tuple(place for place, one in enumerate(self.entrants) if one.trial is not None)

    @property
    def baseline(self) -> int | None:
        """The entrant that the winner is compared with; None where there is none."""
        return next((place for place, one in enumerate(self.entrants) if one.baseline), None)

    @property
    def most_trainings(self) -> int:
        """How many it takes where nobody leaves early."""
        held_out = len(self.rounds) - self.choosing
        chosen = len(self.entrants) * self.choosing if len(self.runners) > 1 else 0
        return chosen + held_out * (1 if self.baseline is None else 2)

    def params(self, entrant: int, number: int) -> dict[str, Scalar]:
        """Of an entrant's trial in a round."""
        return {**self.entrants[entrant].params, **self.rounds[number]}

    def place_of(self, params: Mapping[str, Any]) -> tuple[int, int] | None:
        """(entrant, round) of a trial; None of one that is none of the race's."""
        for entrant, one in enumerate(self.entrants):
            for number, seeds in enumerate(self.rounds):
                if {**one.params, **seeds} == params:
                    return entrant, number
        return None


def races_of(folder: SweepFolder, sweep_id: str) -> list[SweepFolder]:
    """The races that confirm a sweep, beside it, oldest first."""
    found = []
    for name in existing_sweeps(folder.home):
        beside = SweepFolder(home=folder.home, name=name)
        started = first_event(beside.path)
        race = started.spec.get("race") if isinstance(started, SweepStarted) else None
        if race is not None and race["of_id"] == sweep_id:
            found.append(beside)
    return found
