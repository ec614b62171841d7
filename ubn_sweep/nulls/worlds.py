"""Worlds in which a sweep is replayed: what a trial of given parameters comes to there, whatever it came to here.

- `nothing`: no parameter matters. Each trial's deviation from the mean curve is one of the sweep's own, whoever had
  it.
- `but:KEY`: all but one parameter matter. The model's effect of the others is kept, and what it leaves is drawn as
  above.
- `equal`: all trainings are equally good, but for the chance in the examples (and the seeds, where their spread is
  known). The comparison with the best is of trainings, so that this is what its errors are counted in.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.claims import BUT, EQUAL
from ubn_sweep.nulls.curves import Pool, continued
from ubn_sweep.nulls.original import Original, plain_space
from ubn_sweep.records.events import Status
from ubn_sweep.surrogate.declared import DeclaredSpace, coded_value, declared_space
from ubn_sweep.surrogate.last_epoch import LastEpochModel, Seen

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What a trial comes to."""

    curve: Floats
    """(epochs,): the objective in its own unit."""
    measures: Sequence[Mapping[str, float]]
    """What it reports beside, by epoch; the last of them goes on."""
    ends: Status | None = None
    """`diverged` or `failed`, where it does."""
    after: int = 0
    """The last epoch with a score then."""


class World(Protocol):
    """The same number and parameters have the same fate; another world of the same seed draws the same donors."""

    def fate(self, number: int, params: Mapping[str, Any]) -> Fate: ...


class Worlds:
    """Those of one sweep."""

    def __init__(self, original: Original) -> None:
        self._original = original
        self._effects: dict[str, Effects] = {}

    def of(self, name: str, *, seed: int, index: int) -> World:
        """One of its kind: `index` tells replays apart."""
        if name == EQUAL:
            return Equal(self._original, seed=seed, index=index)
        return Drawn(self._original, self._effects_in(name), seed=seed, index=index)

    def _effects_in(self, name: str) -> Effects | None:
        if not name.startswith(BUT):
            return None
        if name not in self._effects:
            self._effects[name] = Effects(self._original, name.removeprefix(BUT))
        return self._effects[name]


class Drawn:
    """`nothing`, or with the effects of parameters `but:KEY`."""

    def __init__(self, original: Original, effects: Effects | None, *, seed: int, index: int) -> None:
        self._original = original
        self._effects = effects
        self._entropy = [seed, index, zlib.crc32(b"" if effects is None else effects.without.encode())]
        curves = continued(original.seen, np.random.default_rng(self._entropy))
        self._slopes = np.zeros(original.max_epochs)
        if effects is not None:
            self._slopes = effects.slopes(curves)
            curves = curves - np.outer(effects.of_trials - effects.of_trials.mean(), self._slopes)
        self._pool = Pool(curves=curves)

    def fate(self, number: int, params: Mapping[str, Any]) -> Fate:
        original = self._original
        rng = np.random.default_rng([*self._entropy, number])
        donor = int(rng.integers(len(original.trials) + len(original.unscored)))
        measures = measures_of(original, params, rng)
        if donor >= len(original.trials):
            ends = original.unscored[donor - len(original.trials)]
            return Fate(curve=self._pool.mean, measures=measures, ends=ends)
        curve = self._pool.mean + self._pool.deviation(donor, rng)
        if self._effects is not None:
            curve = curve + self._slopes * (self._effects.of(params) - self._effects.of_trials.mean())
        ended = original.trials[donor].status
        after = int((~np.isnan(original.seen[donor])).sum())
        return Fate(
            curve=within_bounds(original, curve),
            measures=measures,
            ends="diverged" if ended == "diverged" else "failed" if ended == "failed" else None,
            after=after,
        )


class Equal:
    """All trainings are equally good."""

    def __init__(self, original: Original, *, seed: int, index: int) -> None:
        self._original = original
        self._entropy = [seed, index, zlib.crc32(EQUAL.encode())]
        rng = np.random.default_rng(self._entropy)
        self._mean = Pool(curves=continued(original.seen, rng)).mean
        self._errors = chance_errors(original, self._mean)

    def fate(self, number: int, params: Mapping[str, Any]) -> Fate:
        """Chance is drawn anew at each epoch: what early stopping selects by says nothing of the end then."""
        rng = np.random.default_rng([*self._entropy, number])
        curve = self._mean + self._errors * rng.standard_normal(len(self._mean))
        return Fate(
            curve=within_bounds(self._original, curve), measures=measures_of(self._original, params, rng)
        )


class Effects:
    """What a model of the sweep makes of all parameters but one, at the last epoch."""

    def __init__(self, original: Original, without: str) -> None:
        self.without = without
        self._space_plain = {key: item for key, item in plain_space(original.spec).items() if key != without}
        self._space: DeclaredSpace = declared_space(self._space_plain)
        self._sign = 1.0 if original.metric.direction == "max" else -1.0
        trial, epoch = np.nonzero(~np.isnan(original.seen))
        values = self._sign * original.seen[trial, epoch]
        seen = Seen(
            codes=self._codes([record.created.params for record in original.trials]),
            trial=trial,
            epoch=(epoch + 1).astype(np.float64),
            value=values,
            error=np.zeros(len(values)),
        )
        self._model = LastEpochModel(self._space, seen, max_epochs=original.max_epochs)
        self._range = (float(values.min()), float(values.max()))

    @cached_property
    def of_trials(self) -> Floats:
        """(trials,) of the original, in the objective's unit."""
        return self._of(self._model.seen.codes)

    def of(self, params: Mapping[str, Any]) -> float:
        """Of any parameters."""
        return float(self._of(self._codes([params]))[0])

    def slopes(self, curves: Floats) -> Floats:
        """(epochs,): how much of an effect at the last epoch is there after each, from whole curves."""
        effects = self.of_trials - self.of_trials.mean()
        square = float(effects @ effects)
        return np.zeros(curves.shape[1]) if square == 0 else effects @ (curves - curves.mean(axis=0)) / square

    def _of(self, codes: Floats) -> Floats:
        values = self._model.scale.back(self._model.mean_and_deviation(codes)[0])
        return self._sign * np.clip(values, *self._range)

    def _codes(self, configs: Sequence[Mapping[str, Any]]) -> Floats:
        space = self._space_plain
        known = [
            {
                key: coded_value(space[key], value)
                for key, value in config.items()
                if _is_coded(space, key, value)
            }
            for config in configs
        ]
        return self._space.coding.codes(known)


def _is_coded(space: Mapping[str, Mapping[str, Any]], key: str, value: Any) -> bool:
    """Whether the space has a place for it: a spec may have been changed after the trial."""
    item = space.get(key, {"type": "constant"})
    return item["type"] != "constant" and ("values" not in item or value in item["values"])


def measures_of(
    original: Original, params: Mapping[str, Any], rng: np.random.Generator
) -> list[dict[str, float]]:
    """Another trial's, so that they have nothing to do with the score; one with the same parameters active."""
    alike = [trial for trial in original.trials if trial.created.params.keys() == params.keys()]
    among = alike if alike else original.trials
    donor = among[int(rng.integers(len(among)))]
    names = original.kept_metrics
    return [
        {name: report.metrics[name] for name in names if name in report.metrics}
        for _, report in sorted(donor.epochs.items())
    ]


def chance_errors(original: Original, mean: Floats) -> Floats:
    """(epochs,): standard deviation of a score where all trainings are equally good.

    By the examples: those that all trials get right, or all wrong, add nothing, where it was recorded which ones. By
    the seeds, where several were trained.
    """
    count = original.examples
    if count is None or not original.metric.is_share:
        return np.zeros(len(mean))
    share = np.clip(mean, 0.5 / count, 1 - 0.5 / count)
    variance = share * (1 - share) / count
    if original.bits:
        right = np.mean([bits.mean(axis=0) for bits in original.bits], axis=0)
        level = float(np.clip(right.mean(), 0.5 / count, 1 - 0.5 / count))
        variance = variance * float((right * (1 - right)).mean()) / (level * (1 - level))
    variance = (variance + seed_std(original) ** 2) / original.repeats
    return np.sqrt(variance)


def seed_std(original: Original) -> float:
    """Standard deviation over seeds at the trials' last epochs, on average; 0 where each trial had one."""
    name = original.metric.spread
    found = [trial.last_value(name) for trial in original.trials] if original.repeats > 1 else []
    finite = [value for value in found if np.isfinite(value)]
    return float(np.sqrt(np.mean(np.square(finite)))) if finite else 0.0


def within_bounds(original: Original, curve: Floats) -> Floats:
    """A share lies between 0 and 1, in steps of one example."""
    if not original.metric.is_share:
        return curve
    inside = np.clip(curve, 0.0, 1.0)
    count = original.examples
    if count is None:
        return inside
    whole: Floats = np.round(inside * count * original.repeats) / (count * original.repeats)
    return whole
