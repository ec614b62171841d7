"""What the threshold's profile is compared with: the gate switched off, and plain BatchNorm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from ubn_sweep.landscape.baselines import is_batch_norm
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.numbers import MIN_GROUP, binomial_error
from ubn_sweep.landscape.views.threshold import GATE
from ubn_sweep.surrogate.declared import DeclaredSpace

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.90
ERRORS = 0.05
"""How often equal layers are told apart."""
BAND = (0.05, 0.5, 0.95)
SHARED = ("norm.momentum",)
"""Of the layer's options, those that BatchNorm has, too."""


@dataclass(frozen=True, kw_only=True)
class GateOff:
    """The best without the gate, as the model expects it, beside the best at the chosen threshold; n without it."""

    n: int
    finished: int
    middle: float
    low: float
    """Bounds of its 90% band."""
    high: float
    gain: float
    """How much better the best config at the chosen threshold is: the median."""
    gain_low: float
    """Bounds of its 90% interval."""
    gain_high: float
    is_evident: bool = True
    """Whether the data are clearly more likely with an influence of the gate, or of its threshold, than without."""
    withheld: bool = False
    """Whether such sweeps say so too often where nothing matters."""

    @property
    def is_told(self) -> bool:
        """Whether the interval leaves 0 out, where there is an influence at all."""
        return self.is_evident and not self.withheld and (self.gain_low > 0 or self.gain_high < 0)


@dataclass(frozen=True, kw_only=True)
class Paired:
    """UBN less BatchNorm over settings that both were trained with; positive where UBN is better."""

    pairs: int
    layers: int
    """Configs of the layer that have enough pairs; the interval is corrected for having looked at all of them."""
    better: float
    low: float
    high: float
    withheld: bool = False
    """Whether such sweeps say so too often where nothing matters."""

    @property
    def is_told(self) -> bool:
        """Whether the interval leaves 0 out."""
        return not self.withheld and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, kw_only=True)
class BatchNormLevel:
    """The finished trials of plain BatchNorm."""

    n: int
    others: int
    """Finished trials of UBN."""
    seeds: int
    """Each."""
    middle: float
    """Their mean."""
    low: float | None
    """Its 90% interval: over the trials, from three on; of fewer by chance in the images alone."""
    high: float | None
    paired: Paired | None
    """None where fewer than three pairs share all but the layer: then nothing is compared."""


def gate_off(sweep: SweepView, on: Floats, off: Floats) -> GateOff:
    """From joint draws (draws,), higher is better, of the best at the chosen threshold and of the best without."""
    without = [trial for trial in sweep.trials if trial.params.get(GATE) is False and trial.curve]
    own = off if sweep.metric.direction == "max" else -off
    low, _, high = (float(value) for value in np.quantile(own, BAND))
    gain_low, gain, gain_high = (float(value) for value in np.quantile(on - off, BAND))
    return GateOff(
        n=len(without),
        finished=sum(trial.params.get(GATE) is False for trial in sweep.finished),
        middle=float(np.clip(own.mean(), low, high)),
        low=low,
        high=high,
        gain=gain,
        gain_low=gain_low,
        gain_high=gain_high,
    )


def gate_off_region(space: DeclaredSpace) -> dict[str, float] | None:
    """Where the gate is off, in codes; None where the sweep never switches it."""
    if GATE not in space.coding.names or not space.coding.is_choice(space.column(GATE)):
        return None
    codes = space.coding.codes([{GATE: False}])[0]
    off = float(codes[space.column(GATE)])
    return None if math.isnan(off) else {GATE: off}


def batch_norm_level(sweep: SweepView) -> BatchNormLevel | None:
    """None where no trial of plain BatchNorm finished."""
    plain = [trial for trial in sweep.finished if is_batch_norm(trial.config)]
    others = [trial for trial in sweep.finished if not is_batch_norm(trial.config)]
    if not plain:
        return None
    scores = np.array([trial.score for trial in plain])
    half = _half(sweep, scores)
    middle = float(scores.mean())
    return BatchNormLevel(
        n=len(plain),
        others=len(others),
        seeds=sweep.repeats,
        middle=middle,
        low=None if half is None else middle - half,
        high=None if half is None else middle + half,
        paired=_paired(sweep, plain, others),
    )


def _half(sweep: SweepView, scores: Floats) -> float | None:
    n = len(scores)
    if n >= MIN_GROUP:
        return float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * scores.std(ddof=1) / math.sqrt(n))
    if not sweep.metric.is_share or sweep.validation_examples is None:
        return None
    # The same images judge all of them: more trials are no more images.
    return float(stats.norm.ppf(0.5 + CONFIDENCE / 2)) * binomial_error(
        float(scores.mean()), sweep.validation_examples
    )


def _paired(sweep: SweepView, plain: list[TrialView], others: list[TrialView]) -> Paired | None:
    """By the config of the layer with the most pairs; of as many, the one that does best, corrected for the choice."""
    level: dict[str, list[float]] = {}
    for trial in plain:
        level.setdefault(_settings(sweep, trial), []).append(sweep.metric.better(trial.score))
    differences: dict[str, dict[str, list[float]]] = {}
    for trial in others:
        settings = _settings(sweep, trial)
        if settings in level:
            better = sweep.metric.better(trial.score) - float(np.mean(level[settings]))
            differences.setdefault(_layer(trial), {}).setdefault(settings, []).append(better)
    enough = [
        np.array([np.mean(same) for same in by_settings.values()])
        for by_settings in differences.values()
        if len(by_settings) >= MIN_GROUP
    ]
    if not enough:
        return None
    found = max(enough, key=lambda values: (len(values), float(values.mean())))
    share = 1 - ERRORS / (2 * len(enough))
    half = float(stats.t.ppf(share, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found)))
    mean = float(found.mean())
    return Paired(pairs=len(found), layers=len(enough), better=mean, low=mean - half, high=mean + half)


def _settings(sweep: SweepView, trial: TrialView) -> str:
    """All but the layer. Seeds that the sweep did not vary are drawn trial by trial: they pair nothing."""
    kept = {
        key: value
        for key, value in trial.config.items()
        if (not key.startswith("norm.") or key in SHARED) and (key != "seed" or key in sweep.space)
    }
    return _text(kept)


def _layer(trial: TrialView) -> str:
    return _text({k: v for k, v in trial.config.items() if k.startswith("norm.") and k not in SHARED})


def _text(values: Mapping[str, Any]) -> str:
    return repr(sorted(values.items()))
