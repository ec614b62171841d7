"""What a sweep will cost, before it starts: early stopping replayed on curves of earlier sweeps, or on a model.

Each replay draws as many learning curves as the sweep has trials and lets simulated workers report them, one epoch
at a time, to the same Rungs that the sweep will use. The spread is over replays.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ubn_sweep.records.events import Event
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.deciding.audits import audits_of
from ubn_sweep.sweep.deciding.brackets import early_stopping_of
from ubn_sweep.sweep.spec.spec import ObjectiveConfig, SweepSpec

REPLAYS = 200
INTERVAL = (5, 95)
QUALITY_SPREAD, EARLY_SPREAD, NOISE = 0.10, 0.15, 0.01
"""Of the model's final accuracy, of what it lacks at the start, and from epoch to epoch."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One trial of an earlier sweep: scores by epoch from 1, higher is better, and the seconds of an epoch."""

    scores: tuple[float, ...]
    epoch_s: float | None
    complete: bool
    """False when it was stopped early: its continuation is not known."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A mean, and the interval that holds 90% of the replays."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a sweep will cost."""

    trials: int
    workers: int
    basis: Literal["curves", "model"]
    curves: int
    """How many curves of earlier sweeps it rests on."""
    epochs: Spread
    epochs_without_stopping: int
    completed: Spread
    audits: int
    """Trials that are never stopped."""
    audit_epochs: Spread
    """What they take of the epochs."""
    trial_hours: Spread | None
    """Hours of trials, added up; null where nothing says how long an epoch takes."""
    gpu_hours: Spread | None
    """Of all workers; where rules tell trials apart, as if all were the largest."""
    wall_hours: Spread | None


def curves_of(events: Sequence[Event], objective: ObjectiveConfig) -> list[Curve]:
    """The learning curves of an earlier sweep's trials, failed and diverged ones left out."""
    return [
        Curve(
            scores=tuple(objective.score(report.metrics) for report in trial.epochs.values()),
            epoch_s=_mean(list(trial.values("epoch_s").values())),
            complete=trial.status == "completed",
        )
        for trial in Trials(events)
        if trial.epochs and trial.status in ("completed", "stopped")
    ]


def expected_cost(
    spec: SweepSpec,
    *,
    workers: int,
    curves: Sequence[Curve] = (),
    epoch_s: float | None = None,
    replays: int = REPLAYS,
    seed: int = 0,
) -> Preview:
    """Replays the sweep.

    `workers` trials run at once. With curves of which at least one is complete, trials are drawn from them (one that
    was stopped goes on as a complete one of about its score did); otherwise from `model_curve`. `epoch_s` overrides
    what the curves say of an epoch's seconds.
    """
    rng = np.random.default_rng(seed)
    audits = audits_of(spec)
    usable = list(curves) if any(curve.complete for curve in curves) else []
    known_s = [curve.epoch_s for curve in usable if curve.epoch_s is not None]
    results = []
    for _ in range(replays):
        drawn = [_draw(spec, usable, rng) for _ in range(spec.search.trials)]
        if epoch_s is not None:
            seconds = [epoch_s] * len(drawn)
        elif known_s:
            seconds = [float(rng.choice(known_s)) for _ in drawn]
        else:
            seconds = [1.0] * len(drawn)
        results.append(_replay(spec, drawn, seconds, workers, audits))
    timed = epoch_s is not None or bool(known_s)
    epochs = np.array([sum(result.epochs) for result in results], dtype=float)
    of_audits = [sum(result.epochs[trial] for trial in audits) for result in results]
    completed = np.array([result.completed for result in results], dtype=float)
    busy_s, wall_s = (np.array(x) for x in zip(*((r.busy_s, r.wall_s) for r in results), strict=True))
    gpus = max(shape.workers * shape.gpus for shape in spec.shapes)
    return Preview(
        trials=spec.search.trials,
        workers=workers,
        basis="curves" if usable else "model",
        curves=len(usable),
        epochs=_spread(epochs),
        epochs_without_stopping=spec.search.trials * spec.base.training.epochs,
        completed=_spread(completed),
        audits=len(audits),
        audit_epochs=_spread(np.array(of_audits, dtype=float)),
        trial_hours=_spread(busy_s / 3600) if timed else None,
        gpu_hours=_spread(busy_s / 3600 * gpus) if timed and gpus > 0 else None,
        wall_hours=_spread(wall_s / 3600) if timed else None,
    )


def epochs_by_trial(spec: SweepSpec, *, replays: int = 40, most: int = 100, workers: int = 2) -> list[float]:
    """The epochs that a trial is expected to take, by its number; the last of `most` stands for all after it."""
    rng = np.random.default_rng(0)
    trials = min(spec.search.trials, most)
    audits = [trial for trial in audits_of(spec) if trial < trials]
    epochs = np.zeros(trials)
    for _ in range(replays):
        curves = [model_curve(spec.base.training.epochs, rng) for _ in range(trials)]
        epochs += _replay(spec, curves, [1.0] * trials, workers, audits).epochs
    means = (epochs / replays).tolist()
    settled = means[trials // 2 :]
    return [*means[: trials // 2], *[float(np.mean(settled))] * len(settled)]


def model_curve(epochs: int, rng: np.random.Generator) -> np.ndarray:
    """score(e) = q - (q + d) / (1 + e)**r + noise, for e = 1 ... epochs.

    q is normal with deviation QUALITY_SPREAD, d with EARLY_SPREAD, r uniform from 0.5 to 1.5: final quality and early
    speed are independent, so that curves cross. A stated model, for want of curves; it is no forecast of accuracy.
    """
    e = np.arange(1, epochs + 1)
    quality, early = rng.normal(0.8, QUALITY_SPREAD), rng.normal(0.0, EARLY_SPREAD)
    rate = rng.uniform(0.5, 1.5)
    return quality - (quality + early) / (1.0 + e) ** rate + rng.normal(0, NOISE, epochs)


def _draw(spec: SweepSpec, curves: Sequence[Curve], rng: np.random.Generator) -> np.ndarray:
    """The scores of one trial, as many as its full budget has epochs."""
    epochs = spec.base.training.epochs
    if not curves:
        return model_curve(epochs, rng)
    scores = list(curves[int(rng.integers(len(curves)))].scores)
    complete = [curve.scores for curve in curves if curve.complete]
    if len(scores) < epochs:
        at = len(scores) - 1
        near = sorted(complete, key=lambda other: abs(other[min(at, len(other) - 1)] - scores[-1]))[:5]
        donor = near[rng.integers(len(near))]
        lift = scores[-1] - donor[min(at, len(donor) - 1)]
        scores += [donor[min(epoch, len(donor) - 1)] + lift for epoch in range(len(scores), epochs)]
    return np.array(scores[:epochs])


@dataclass(frozen=True, kw_only=True)
class _Replay:
    epochs: list[int]
    """By trial."""
    completed: int
    busy_s: float
    """Of all trials, added up."""
    wall_s: float
    """Until the last one ended."""


def _replay(
    spec: SweepSpec,
    curves: Sequence[np.ndarray],
    seconds: Sequence[float],
    workers: int,
    audits: Collection[int],
) -> _Replay:
    max_epochs, rungs = spec.base.training.epochs, early_stopping_of(_with_one_objective(spec))
    fresh = list(range(len(curves)))[::-1]
    waiting: dict[int, int] = {}  # trial -> its epoch, of those that wait to be promoted
    running: list[tuple[float, int, int]] = []  # when the next epoch ends, trial, that epoch
    epochs, completed = [0] * len(curves), 0
    busy_s = now_s = 0.0
    while True:
        while len(running) < workers:
            promoted = None if rungs is None else rungs.promotable(waiting)
            if promoted is None and not fresh:
                break
            trial = fresh.pop() if promoted is None else promoted
            heapq.heappush(running, (now_s + seconds[trial], trial, waiting.pop(trial, 0) + 1))
        if not running:
            break
        now_s, trial, epoch = heapq.heappop(running)
        epochs[trial] += 1
        busy_s += seconds[trial]
        score = float(curves[trial][epoch - 1])
        if epoch >= max_epochs:
            completed += 1
        elif rungs is None or not rungs.report(trial, epoch, score, exempt=trial in audits):
            heapq.heappush(running, (now_s + seconds[trial], trial, epoch + 1))
        elif rungs.promotes:
            waiting[trial] = epoch
    return _Replay(epochs=epochs, completed=completed, busy_s=busy_s, wall_s=now_s)


def _with_one_objective(spec: SweepSpec) -> SweepSpec:
    """Curves are of one; by two, the same share of trials goes on from each rung."""
    return dataclasses.replace(spec, objective=dataclasses.replace(spec.objective, second=None))


def _spread(values: np.ndarray) -> Spread:
    low, high = np.percentile(values, INTERVAL)
    return Spread(mean=float(values.mean()), low=float(low), high=float(high))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
