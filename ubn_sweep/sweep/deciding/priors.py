"""Known results: finished trials of earlier sweeps, for the sampler to learn from."""

from __future__ import annotations

import math
import time
from pathlib import Path

from ubn_sweep.errors import UserError
from ubn_sweep.records.events import PriorTrial
from ubn_sweep.records.folder import find_sweep
from ubn_sweep.records.journal import stream
from ubn_sweep.records.trials import TrialRecord, Trials
from ubn_sweep.sweep.spec.space import Space
from ubn_sweep.sweep.spec.spec import ObjectiveConfig, SweepSpec


def learn_from(spec: SweepSpec, home: Path) -> list[PriorTrial]:
    """The trials of `search.learn_from` that are points of this space, with their scores.

    Raises:
        UserError: there is no such sweep, it had another objective, none of its trials fits this space, or this
            sweep has two objectives.
    """
    priors = []
    if spec.search.learn_from and spec.objective.second is not None:
        raise UserError(
            "--learn-from: earlier sweeps teach one objective, and this sweep has "
            f"{' and '.join(spec.objective.metrics)}: leave it out, or drop the second one"
        )
    for name in spec.search.learn_from:
        folder = find_sweep(name, home)
        trials = Trials(stream(folder.path))
        _check_objective(spec, trials, name)
        fitting = [
            prior for prior in _priors(trials, spec.objective, name) if Space(spec).holds(prior.params)
        ]
        if not fitting:
            raise UserError(
                f"--learn-from: no finished trial of `{name}` is a point of this space: "
                "vary the same keys, in ranges that hold the earlier ones"
            )
        priors += fitting
    return priors


def _check_objective(spec: SweepSpec, trials: Trials, name: str) -> None:
    metric = trials.start.spec["objective"]["metric"] if trials.start is not None else None
    if metric != spec.objective.metric:
        raise UserError(
            f"--learn-from: `{name}` was judged by {metric}, but this sweep is by {spec.objective.metric}: "
            "set `objective.metric` alike"
        )


def _priors(trials: Trials, objective: ObjectiveConfig, sweep: str) -> list[PriorTrial]:
    """In the order in which they ended, which the sampler sees them in."""
    ended = [(trial.ended, trial) for trial in trials if trial.ended is not None]
    return [
        PriorTrial(
            time_s=time.time(),
            sweep=sweep,
            trial=trial.number,
            params=trial.created.params,
            values=_scores(trial, objective),
            status=end.status,
        )
        for end, trial in sorted(ended, key=lambda pair: pair[0].time_s)
        if end.status != "failed"
    ]


def _scores(trial: TrialRecord, objective: ObjectiveConfig) -> dict[int, float]:
    scores = {epoch: objective.comparable(report.metrics) for epoch, report in trial.epochs.items()}
    return {epoch: score for epoch, score in scores.items() if not math.isnan(score)}
