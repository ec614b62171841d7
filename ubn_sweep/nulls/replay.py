"""One replay: the sweep's own sampler, early stopping, warm starts and audits, with the fates of a made-up world."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ubn_sweep.nulls.original import Original
from ubn_sweep.nulls.worlds import Fate, World
from ubn_sweep.records.correctness import Bits, packed
from ubn_sweep.records.events import Event, PriorTrial, SweepEnded, TrialEnded
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.trial import SweepTrial
from ubn_sweep.sweep.spec.spec import SweepSpec


def replayed(original: Original, world: World, *, seed: int, at_random: bool = False) -> list[Event]:
    """The events of a sweep in that world: as many trials at once, and in all, as the original had.

    Args:
        seed: the sampler's.
        at_random: draw all trials at random, where configs do not matter to what is asked.
    """
    spec = original.spec
    search = replace(spec.search, seed=seed)
    if at_random:
        search = replace(search, sampler="random", sampler_options={}, goal="best")
    events: list[Event] = [original.started]
    clock = _Clock()
    state = SweepState(replace(spec, search=search), record=events.append, now_s=clock)
    state.learn(_prior(spec, prior, place, world) for place, prior in enumerate(original.priors))
    _run(state, original, world, clock)
    events.append(SweepEnded(time_s=clock.now_s))
    return events


FIRST_PRIOR = 2**31
"""Numbers of earlier sweeps' trials, beyond those of any of this one."""


class _Clock:
    """Seconds of the made-up sweep."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _run(state: SweepState, original: Original, world: World, clock: _Clock) -> None:
    """Hands trials to workers until none is left; an epoch takes as long as that of the trial whose measures it has."""
    fates: dict[int, Fate] = {}
    under_way: list[tuple[float, int]] = []  # when the next epoch ends, trial
    while True:
        while len(under_way) < original.workers and (trial := state.next_trial()) is not None:
            fate = fates.setdefault(trial.number, world.fate(trial.number, trial.params))
            heapq.heappush(under_way, (clock.now_s + _epoch_s(fate), trial.number))
        if not under_way:
            return
        clock.now_s, number = heapq.heappop(under_way)
        if not _reported(state, original, state.trials[number], fates[number]):
            heapq.heappush(under_way, (clock.now_s + _epoch_s(fates[number]), number))


def _reported(state: SweepState, original: Original, trial: SweepTrial, fate: Fate) -> bool:
    """A trial's next epoch; whether it is over then, or waits."""
    epoch = trial.epoch + 1
    if fate.ends == "failed" and epoch > fate.after:
        state.end(trial.number, "failed", "as a trial of the original did")
        return True
    is_number = fate.ends is None or epoch <= fate.after
    metrics = dict(fate.measures[min(epoch, len(fate.measures)) - 1])
    metrics[original.metric.name] = float(fate.curve[epoch - 1]) if is_number else math.nan
    return state.report(trial.number, epoch, metrics)


def _epoch_s(fate: Fate) -> float:
    found = fate.measures[-1].get("epoch_s", 1.0)
    return found if math.isfinite(found) and found > 0 else 1.0


def _prior(spec: SweepSpec, prior: PriorTrial, place: int, world: World) -> PriorTrial:
    """An earlier sweep's trial, in this world: what it taught is no more about the parameters than the rest is."""
    sign = 1.0 if spec.objective.mode == "max" else -1.0
    curve = world.fate(FIRST_PRIOR + place, prior.params).curve
    values = {epoch: sign * float(curve[min(epoch, len(curve)) - 1]) for epoch in prior.values}
    return replace(prior, values=values)


def with_images(events: list[Event], original: Original, rng: np.random.Generator) -> list[Event]:
    """The same events; finished trials tell which examples they got right, where the original's did.

    How hard an example is, is known from the original's trials. A network gets those right that it finds easiest, as
    many as its score says, with as much chance in each as an example of even odds has.
    """
    if not original.bits:
        return events
    right = np.mean([bits.mean(axis=0) for bits in original.bits], axis=0)
    seeds = sum(bits.shape[0] for bits in original.bits)
    ease = np.clip((right * seeds + 0.5) / (seeds + 1), 1e-3, 1 - 1e-3)
    scores = _last_scores(events, original.metric.name)
    found: list[Event] = []
    for event in events:
        if isinstance(event, TrialEnded) and event.status == "completed" and event.trial in scores:
            bits = _bits(scores[event.trial], ease, original.repeats, rng)
            event = replace(event, correct=packed(bits))
        found.append(event)
    return found


def _last_scores(events: list[Event], metric: str) -> Mapping[int, float]:
    return {trial.number: trial.last_value(metric) for trial in Trials(events)}


def _bits(score: float, ease: np.ndarray, seeds: int, rng: np.random.Generator) -> Bits:
    """(seeds, examples), with that mean."""
    total = round(score * len(ease) * seeds)
    counts = [(total + place) // seeds for place in range(seeds)]
    odds = np.log(ease / (1 - ease))
    bits = np.zeros((seeds, len(ease)), bool)
    for row, count in zip(bits, counts, strict=True):
        row[np.argsort(-(odds + rng.logistic(size=len(ease))))[:count]] = True
    return bits
