"""Who is still in a race, and who has won: from the trainings that have ended alone, in whatever order they did.

Losers leave by paired differences. After each round that chooses, from the second on, each runner is compared with
the leader: both trained on the same seeds and splits, so that what a round does to both cancels. With m runners and L
looks, each comparison errs with probability error_rate / (L (m - 1)) at most, one-sided: the best runner leaves by
chance in no more races than error_rate says (Bonferroni over looks and opponents).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.records.race import RaceConfig

Ended = Mapping[tuple[int, int], float]
"""(entrant, round) -> its score, higher is better; NaN of a training without one. Those that run are absent."""
FIRST_LOOK_FREEDOM = 4
"""Degrees of freedom that the first look takes: with fewer, a chance agreement of two differences looks like proof."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """How a runner left."""

    round: int
    """After which round, from 1."""
    why: str


@dataclass(frozen=True, kw_only=True)
class RaceStanding:
    """What the trainings so far decide."""

    runners: tuple[int, ...]
    """Entrants that can still win, in the order of the race's config."""
    left: dict[int, Left]
    decided: int
    """Rounds that choose, of which all that counts has ended."""
    is_chosen: bool
    winner: int | None
    """None before one is chosen, or where nobody is left."""


def standing(race: RaceConfig, ended: Ended) -> RaceStanding:
    """Looks after each round in turn, as far as all of its trainings have ended."""
    runners: list[int] = list(race.runners)
    left: dict[int, Left] = {}
    decided = 0
    while decided < race.choosing and len(runners) > 1:
        if any((entrant, decided) not in ended for entrant in runners):
            return RaceStanding(
                runners=tuple(runners), left=left, decided=decided, is_chosen=False, winner=None
            )
        decided += 1
        for entrant, why in _losers(race, runners, ended, decided).items():
            left[entrant] = Left(round=decided, why=why)
            runners.remove(entrant)
    winner = max(runners, key=lambda one: (_mean(ended, one, decided), -one)) if runners else None
    return RaceStanding(runners=tuple(runners), left=left, decided=decided, is_chosen=True, winner=winner)


def due(race: RaceConfig, found: RaceStanding) -> list[tuple[int, int]]:
    """(entrant, round) of all trainings that the standing asks for, in order, done ones too.

    Before a winner is chosen, runners train one round ahead of the look, so that workers seldom wait.
    """
    always = [] if race.baseline is None else [race.baseline]
    if not found.is_chosen:
        going_on = sorted({*found.runners, *always})
        rounds = range(min(found.decided + 2, race.choosing))
        return [(entrant, number) for number in rounds for entrant in going_on]
    if found.winner is None:
        return []
    last = sorted({found.winner, *always})
    earlier = [(entrant, number) for number in range(found.decided) for entrant in always]
    return earlier + [
        (entrant, number) for number in range(race.choosing, len(race.rounds)) for entrant in last
    ]


def _losers(race: RaceConfig, runners: list[int], ended: Ended, rounds: int) -> dict[int, str]:
    """Entrant -> why it leaves after so many rounds."""
    scores = {entrant: np.array([ended[entrant, n] for n in range(rounds)]) for entrant in runners}
    out = {
        entrant: "its training has no score" for entrant, own in scores.items() if not np.isfinite(own).all()
    }
    alive = [entrant for entrant in runners if entrant not in out]
    if len(alive) < 2 or (len(alive) - 1) * (rounds - 1) < FIRST_LOOK_FREEDOM:
        return out
    table = np.stack([scores[entrant] for entrant in alive])
    leader = int(np.argmax(table.mean(axis=1)))
    limits = _limits(race, table, leader)
    behind = table[leader].mean() - table.mean(axis=1)
    for place, entrant in enumerate(alive):
        if place != leader and behind[place] > limits[place]:
            out[entrant] = f"behind {race.entrants[alive[leader]].name} by more than chance explains"
    return out


def _limits(race: RaceConfig, table: npt.NDArray[np.float64], leader: int) -> npt.NDArray[np.float64]:
    """(runners,): how far behind the leader chance may put one; table (runners, rounds).

    The variance of a training, what rounds have in common taken off, is pooled over the runners; that of a pair is
    taken where it is larger, since one config may be noisier than others.
    """
    from scipy import stats  # here, since it takes a second, and most of what imports this does not race

    runners, rounds = table.shape
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    freedom = (runners - 1) * (rounds - 1)
    pooled = 2 * float((rest**2).sum()) / freedom
    own = (table[leader] - table).var(axis=1, ddof=1)
    looks, opponents = max(race.choosing - 1, 1), len(race.runners) - 1
    quantile = float(stats.t.ppf(1 - race.error_rate / (looks * opponents), freedom))
    return quantile * np.sqrt(np.maximum(own, pooled) / rounds)


def _mean(ended: Ended, entrant: int, rounds: int) -> float:
    """Over the first rounds; where none chose, all are alike."""
    own = [ended[entrant, number] for number in range(rounds)]
    return math.fsum(own) / rounds if own else 0.0
