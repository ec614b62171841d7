"""Which configs of a sweep are exported: the best, or those on the front of two objectives."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.front import second_value
from ubn_sweep.landscape.views.ranking import ranked
from ubn_sweep.records.events import TrialCreated
from ubn_sweep.records.fronts import Pair, best_first, front

USUAL = 3
"""How many are exported where nobody says how many."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A config, with all trials that trained it: seeds aside, they are the same training."""

    trials: tuple[TrialView, ...]
    is_finished: bool
    """Whether they came to the full budget."""

    @property
    def trial(self) -> TrialView:
        """The first one made: which of them had the luckiest seed decides nothing."""
        return min(self.trials, key=lambda trial: trial.number)

    def means(self, sweep: SweepView) -> Pair:
        """Both objectives over the seeds, in their own units; the second is NaN where there is none."""
        return _mean(self.trials), statistics.fmean(second_value(sweep, trial) for trial in self.trials)


def candidates_of(sweep: SweepView, created: Mapping[int, TrialCreated]) -> list[Candidate]:
    """Best first: by the mean over their seeds of what finished, and behind them what did not, as it is ranked."""
    groups: dict[str, list[TrialView]] = {}
    for trial in ranked(sweep):
        groups.setdefault(config_text(created[trial.number]), []).append(trial)
    finished = {trial.number for trial in sweep.candidates}
    found = []
    for group in groups.values():
        done = tuple(trial for trial in group if trial.number in finished)
        found.append(Candidate(trials=done or tuple(group[:1]), is_finished=bool(done)))
    # A stable sort: those that have not finished stay behind, in their order.
    return sorted(
        found,
        key=lambda item: -sweep.metric.better(_mean(item.trials)) if item.is_finished else math.inf,
    )


def chosen(
    sweep: SweepView, candidates: Sequence[Candidate], top: int | None
) -> tuple[list[Candidate], frozenset[int]]:
    """The candidates to be exported, best first, and which of their trials are on the front of two objectives.

    With two, `top` of them are spread over the front, its ends first; what exceeds it lies behind it. None is USUAL, or
    the whole front.
    """
    if sweep.second is None:
        return list(candidates[: USUAL if top is None else top]), frozenset()
    done = [candidate for candidate in candidates if candidate.is_finished]
    pairs = [_turned(sweep, candidate) for candidate in done]
    on_front = front(pairs)
    picked = best_first(pairs, len(on_front) if top is None else top)
    picked.sort(key=lambda place: (place not in on_front, -pairs[place][0]))
    rest = [candidate for candidate in candidates if not candidate.is_finished]
    missing = 0 if top is None else max(0, top - len(picked))
    found = [*(done[place] for place in picked), *rest[:missing]]
    return found, frozenset(done[place].trial.number for place in on_front)


def config_text(created: TrialCreated) -> str:
    """What tells one config from another; the seed does not."""
    config = {key: value for key, value in created.config.items() if key != "seed"}
    return json.dumps(config, sort_keys=True)


def _turned(sweep: SweepView, candidate: Candidate) -> Pair:
    assert sweep.second is not None
    first, second = candidate.means(sweep)
    return sweep.metric.better(first), sweep.second.better(second)


def _mean(trials: Sequence[TrialView]) -> float:
    return statistics.fmean(trial.last_score for trial in trials)
