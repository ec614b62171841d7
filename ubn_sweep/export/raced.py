"""What a race changes in an export: its winner comes first, and promises what its held-out rounds came to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from ubn_sweep.export.candidates import Candidate
from ubn_sweep.landscape.read import SweepView
from ubn_sweep.landscape.views.confirmed import ConfirmedView, Winner
from ubn_sweep.landscape.views.numbers import binomial_error
from ubn_sweep.training.provenance import Forecast, Provenance


def confirmed_first(candidates: Sequence[Candidate], race: ConfirmedView | None) -> list[Candidate]:
    """The winner's config before all others, which stay in their order. It has trained to the end, if not here."""
    if race is None or race.winner is None:
        return list(candidates)
    number = race.winner.trial
    won = [one for one in candidates if any(trial.number == number for trial in one.trials)]
    rest = [one for one in candidates if one not in won]
    return [*(dataclasses.replace(one, is_finished=True) for one in won), *rest]


def with_race(origin: Provenance, race: ConfirmedView, sweep: SweepView) -> Provenance:
    """The winner's origin, with the race's promise in place of the trial's; as it was where nobody won."""
    winner = race.winner
    if winner is None:
        return origin
    return dataclasses.replace(
        origin,
        promised=winner.worth.mean,
        status="completed",
        epoch=sweep.max_epochs,
        spread=winner.std,
        seeds=winner.worth.n * sweep.repeats,
        optimism=0.0,
        forecast=_forecast(winner, race, sweep),
        confirmed_by=race.race,
    )


def _forecast(winner: Winner, race: ConfirmedView, sweep: SweepView) -> Forecast:
    """The deviation over rounds holds what chance in each round's examples adds: the forecast has it apart.

    Rounds share a pool of examples, of which each holds some out: that many rounds of them are taken for its size.
    """
    by_chance, of_pool = 0.0, 0.0
    if race.metric.is_share and sweep.validation_examples is not None:
        by_chance = binomial_error(winner.worth.mean, sweep.validation_examples) ** 2
        of_pool = by_chance / winner.worth.n
    return Forecast(
        low=winner.next_low,
        high=winner.next_high,
        mean_error=math.sqrt(winner.std**2 / winner.worth.n + of_pool),
        std=math.sqrt(max(winner.std**2 - by_chance, 0.0)),
        freedom=float(winner.freedom),
        source=f"race {race.race}",
    )
