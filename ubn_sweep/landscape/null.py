"""How often a report's claims are made where they are errors: counts over replays of the sweep, and what follows.

The replays are made by `ubn_sweep.nulls`, and kept in the sweep's folder.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scipy import stats

from ubn_sweep.landscape.claims import BUT, KINDS, key_of, kind_of
from ubn_sweep.landscape.read import SweepView

FORMAT = 1
"""Of the file; another one is as if there were none."""
GOAL = 0.05
"""What is said more often than this where nothing matters is not said."""
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Null:
    """Claims by world and replay."""

    sweep_id: str
    trials: int
    """How many the sweep had then."""
    seed: int
    worlds: Mapping[str, Mapping[int, frozenset[str]]]
    """World -> replay -> what was claimed there."""
    versions: Mapping[str, str] = field(default_factory=dict)

    def fits(self, sweep_id: str, trials: int) -> bool:
        """Whether it is of the sweep as it is now."""
        return self.sweep_id == sweep_id and self.trials == trials

    def count(self, kind: str, world: str, *, aside: Collection[str] = ()) -> tuple[int, int]:
        """(in how many replays any claim of a kind was made, those of `aside` left out; of how many)"""
        replays = self.worlds.get(world, {}).values()
        made = sum(any(kind_of(claim) == kind for claim in said - frozenset(aside)) for said in replays)
        return made, len(replays)

    def count_of(self, claim: str, world: str) -> tuple[int, int]:
        """(in how many replays this very claim was made, of how many)"""
        replays = self.worlds.get(world, {}).values()
        return sum(claim in said for said in replays), len(replays)

    def errors_of(self, claim: str) -> dict[str, tuple[int, int]]:
        """World -> (times made, replays), in the worlds where a claim is an error."""
        key = key_of(claim)
        worlds = [KINDS[kind_of(claim)].world, *([f"{BUT}{key}"] if key is not None else [])]
        found = {world: self.count_of(claim, world) for world in worlds}
        return {world: counts for world, counts in found.items() if counts[1] > 0}

    def withheld(self, claims: Collection[str]) -> tuple[str, ...]:
        """Which of a report's claims are not to be made: those that by themselves are made too often in a world where
        they are errors, then all of a kind of which any other is."""
        alone = {claim for claim in self._all | set(claims) if self._is_made_too_often(claim)}
        kinds = {
            kind for kind, one in KINDS.items() if is_too_often(*self.count(kind, one.world, aside=alone))
        }
        return tuple(sorted(claim for claim in claims if claim in alone or kind_of(claim) in kinds))

    def _is_made_too_often(self, claim: str) -> bool:
        return any(is_too_often(*counts) for counts in self.errors_of(claim).values())

    @property
    def _all(self) -> set[str]:
        return {claim for replays in self.worlds.values() for said in replays.values() for claim in said}


def is_too_often(times: int, replays: int) -> bool:
    """Whether a rate of 5% is ruled out: were it no more, so many of the replays or more would make the claim with a
    probability below 5%. So the rate's lower bound (one-sided, 95%; Clopper and Pearson) is above 5%."""
    return times > 0 and float(stats.binom.sf(times - 1, replays, GOAL)) < 1 - CONFIDENCE - 1e-9


def bounds(times: int, replays: int) -> tuple[float, float]:
    """Of the rate: its two-sided 90% interval, by Clopper and Pearson; (0, 1) without replays."""
    if replays == 0:
        return 0.0, 1.0
    low = float(stats.beta.ppf(1 - CONFIDENCE, times, replays - times + 1)) if times > 0 else 0.0
    high = float(stats.beta.ppf(CONFIDENCE, times + 1, replays - times)) if times < replays else 1.0
    return low, high


def null_as_json(null: Null) -> str:
    """The inverse of `read_null`."""
    worlds = {
        world: {str(index): sorted(said) for index, said in sorted(replays.items())}
        for world, replays in null.worlds.items()
    }
    return json.dumps({"format": FORMAT, **asdict(null), "worlds": worlds}, indent=1) + "\n"


def read_null(path: Path) -> Null | None:
    """None where there is none, or one that this version cannot read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            return None
        worlds = {
            str(world): {int(index): frozenset(map(str, said)) for index, said in replays.items()}
            for world, replays in content.pop("worlds").items()
        }
        return Null(**content, worlds=worlds)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def null_of(path: Path, sweep: SweepView) -> Null | None:
    """The stored null of a sweep; None where there is none, or one of other trials than it has by now."""
    null = read_null(path)
    return null if null is not None and null.fits(sweep.sweep_id, len(sweep.trials)) else None
