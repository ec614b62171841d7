"""Is UBN better than BatchNorm here? What the sweep's own trials of BatchNorm, and of the paper's defaults, say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ubn_sweep.landscape.baselines import PAPER, is_batch_norm
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.epochs import common_epoch, reached
from ubn_sweep.landscape.views.numbers import Difference, group_difference
from ubn_sweep.landscape.views.ranking import RankedTrial, Ranking, ranked


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """One trial to compare with, at the last epoch that it has a score of."""

    trial: int
    epoch: int
    score: float
    status: str
    others: int
    """How many other trials have a score at that epoch."""
    better: int
    """How many of them score better there."""
    place: RankedTrial | None
    """Among the finished trials; None where it did not finish."""
    is_best: bool


@dataclass(frozen=True, kw_only=True)
class BaselineView:
    """Empty parts where no trial is one."""

    applies: bool
    """Whether the trials have such layers at all."""
    batch_norms: int
    """How many trials were plain BatchNorm."""
    batch_norm: Baseline | None
    """The best of them."""
    paper: Baseline | None
    epoch: int | None
    difference: Difference | None
    """All others against them, at that epoch; None with fewer than three on a side."""


def baseline_view(sweep: SweepView, ranking: Ranking) -> BaselineView:
    """BatchNorm is told by its config, the paper's defaults by their name."""
    order = ranked(sweep)
    order += [
        trial for trial in sweep.trials if trial.curve and not trial.feasible
    ]  # to compare with, they serve
    plain = [trial for trial in order if is_batch_norm(trial.config)]
    defaults = [trial for trial in order if trial.start == PAPER]
    epoch = common_epoch(sweep)
    pool: Sequence[TrialView] = sweep.finished if epoch is None else reached(sweep, epoch)
    at = sweep.max_epochs if epoch is None else epoch
    scores: dict[bool, list[float]] = {True: [], False: []}
    for trial in pool:
        scores[is_batch_norm(trial.config)].append(sweep.metric.better(trial.curve[at]))
    return BaselineView(
        applies=any("norm.name" in trial.config for trial in sweep.trials),
        batch_norms=len(plain),
        batch_norm=_baseline(sweep, plain[0], ranking) if plain else None,
        paper=_baseline(sweep, defaults[0], ranking) if defaults else None,
        epoch=at if pool else None,
        difference=group_difference(scores[False], scores[True]),
    )


def _baseline(sweep: SweepView, trial: TrialView, ranking: Ranking) -> Baseline:
    epoch, score = trial.scored_epoch, trial.last_score
    others = [other.curve[epoch] for other in reached(sweep, epoch) if other.number != trial.number]
    place = next((row for row in ranking.trials if row.trial.number == trial.number), None)
    return Baseline(
        trial=trial.number,
        epoch=epoch,
        score=score,
        status=trial.status,
        others=len(others),
        better=sum(sweep.metric.better(other) > sweep.metric.better(score) for other in others),
        place=place if ranking.full_budget else None,
        is_best=ranking.full_budget and ranking.trials[0].trial.number == trial.number,
    )
