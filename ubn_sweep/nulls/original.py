"""The sweep that is replayed: its spec, what its trials reported, and how they ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.landscape.measures import MEASURES
from ubn_sweep.records.correctness import Bits, unpacked
from ubn_sweep.records.events import (
    EpochReported,
    Event,
    PriorTrial,
    Status,
    SweepStarted,
    TrialCreated,
    TrialPromoted,
)
from ubn_sweep.records.metrics import Metric
from ubn_sweep.records.trials import TrialRecord, Trials
from ubn_sweep.sweep.spec.loading import spec_from_plain
from ubn_sweep.sweep.spec.spec import SweepSpec
from ubn_sweep.sweep.spec.stopping import StopWhenConfig

Floats = npt.NDArray[np.float64]
MIN_CURVES = 8
"""Trials with a score, to make others from."""
MOST_WORKERS = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Original:
    """All that replays need of a sweep."""

    started: SweepStarted
    """As the replays' own records begin."""
    spec: SweepSpec
    """Of as many trials as there were, without the rules that end a whole sweep."""
    metric: Metric
    """The objective; of two the first."""
    workers: int
    """How many trials ran at once."""
    priors: tuple[PriorTrial, ...]
    trials: tuple[TrialRecord, ...]
    """Those with a score at their first epoch."""
    seen: Floats
    """(trials, epochs): the objective, NaN from where it ended."""
    unscored: tuple[Status, ...]
    """How the trials without any score ended: diverged or failed in their first epoch."""
    bits: tuple[Bits, ...]
    """Which validation examples they got right, of the trials that recorded it."""
    examples: int | None
    """How many validation examples a share is of; None where nothing tells."""

    @property
    def max_epochs(self) -> int:
        """Of the full budget."""
        return int(self.spec.base.training.epochs)

    @property
    def repeats(self) -> int:
        """Seeds a trial."""
        return int(getattr(self.spec.base, "repeats", 1))

    @property
    def kept_metrics(self) -> tuple[str, ...]:
        """What a replayed trial reports beside the objective: what the report's statements look at."""
        objective = self.spec.objective
        names = [measure.name for measure in MEASURES]
        names += [name for name in (self.metric.count, self.metric.spread, "epoch_s") if name is not None]
        names += [name for name in objective.metrics if name != objective.metric]
        return (*names, *objective.constraints)


def original_of(events: Iterable[Event]) -> Original:
    """From a sweep's events, ended or not.

    Raises:
        UserError: fewer than eight of its trials have a score.
    """
    kept = list(events)
    records = Trials(kept)
    spec = spec_from_plain(records.spec)
    metric, epochs = spec.metric, int(spec.base.training.epochs)
    scored, rows, unscored = [], [], []
    for trial in records:
        row = _row(trial, metric.name, epochs)
        if not math.isnan(row[0]):
            scored.append(trial)
            rows.append(row)
        elif trial.ended is not None and trial.ended.status in ("diverged", "failed"):
            unscored.append(trial.ended.status)
    if len(scored) < MIN_CURVES:
        raise UserError(
            f"a null is made of the curves of {MIN_CURVES} trials or more, but {len(scored)} of "
            f"`{records.started.name}` have a score: let more of them run"
        )
    spec = replace(
        spec,
        search=replace(spec.search, trials=len(records)),
        stop_when=StopWhenConfig(trial_target=spec.stop_when.trial_target),
    )
    ended = [unpacked(trial.ended.correct) for trial in scored if trial.ended is not None]
    return Original(
        started=replace(records.started, spec=schema.to_plain(spec)),
        spec=spec,
        metric=metric,
        workers=workers_of(kept),
        priors=tuple(event for event in kept if isinstance(event, PriorTrial)),
        trials=tuple(scored),
        seen=np.array(rows),
        unscored=tuple(unscored),
        bits=tuple(bits for bits in ended if bits is not None),
        examples=_examples(spec, metric, scored),
    )


def workers_of(events: Iterable[Event]) -> int:
    """How many trials ran at once: the median number under way when a trial began.

    A trial is under way from its beginning, or its promotion, to the last report before it rests or ends.
    """
    begins: list[tuple[int, int]] = []
    last: dict[int, int] = {}
    spans: list[tuple[int, int]] = []
    under_way: dict[int, int] = {}
    for place, event in enumerate(events):
        if isinstance(event, TrialCreated | TrialPromoted):
            if event.trial in under_way:
                spans.append((under_way[event.trial], last.get(event.trial, place)))
            under_way[event.trial] = place
            begins.append((place, event.trial))
        elif isinstance(event, EpochReported):
            last[event.trial] = place
    spans += [(begin, max(last.get(trial, begin), begin)) for trial, begin in under_way.items()]
    if not spans:
        return 1
    starts, ends = np.array(sorted(spans)).T
    counts = [int(((starts <= place) & (ends >= place)).sum()) for place, _ in begins]
    return int(np.clip(round(float(np.median(counts))), 1, MOST_WORKERS))


def _row(trial: TrialRecord, metric: str, epochs: int) -> list[float]:
    """(epochs,): its values up to the first that is missing, or no number."""
    row = [math.nan] * epochs
    for place in range(epochs):
        report = trial.epochs.get(place + 1)
        value = math.nan if report is None or report.diverged else report.metrics.get(metric, math.nan)
        if not math.isfinite(value):
            break
        row[place] = value
    return row


def _examples(spec: SweepSpec, metric: Metric, trials: list[TrialRecord]) -> int | None:
    """As the trials counted them, else as the task estimates them."""
    told = [trial.last_value(metric.count) for trial in trials] if metric.count is not None else []
    known = [value for value in told if math.isfinite(value)]
    return round(max(known)) if known else spec.find_task().record(spec.base).examples


def plain_space(spec: SweepSpec) -> Mapping[str, Mapping[str, Any]]:
    """Its space in plain mappings, as a sweep records it."""
    found: Mapping[str, Mapping[str, Any]] = schema.to_plain(spec)["space"]
    return found
