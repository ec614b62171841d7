"""What the model attributes the variance over the declared space to: parameters, and two of them together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.views.levels import BAND
from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.surrogate.effects import Effects, effects

Floats = npt.NDArray[np.float64]
MOST_ASKED = 3
"""Parameters whose evidence is computed: those with the largest shares. Each takes a fifth of a second."""
MOST_PAIRS = 5
LEAST = 0.05
"""Of the variance, with a probability of 95%: what two parameters must do together to be told of."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A share of the variance, with its 90% band."""

    keys: tuple[str, ...]
    """One parameter, or two."""
    title: str
    middle: float
    low: float
    high: float
    evidence: float | None
    """Log of how much more likely the data are with the parameter than without; None where it was not asked for."""
    is_told: bool


@dataclass(frozen=True, kw_only=True)
class EffectsView:
    """Largest first; empty where there is no model."""

    reason: str | None
    trials: int
    main: tuple[Effect, ...]
    together: tuple[Effect, ...]
    """The strongest of all pairs."""
    pairs: int
    bar: float = 0.0
    """The evidence from which a parameter is told of: the more parameters, the more."""


def effects_view(modelled: Modelled) -> EffectsView:
    """Shares from the sweep's model."""
    reason = modelled.why_not()
    trials, _ = modelled.counts()
    if reason is None and len(modelled.space.coding.names) < 2:
        reason = "one parameter alone was varied"
    if reason is not None:
        return EffectsView(reason=reason, trials=trials, main=(), together=(), pairs=0)
    found = effects(modelled.model)
    order = np.argsort(-np.median(found.main, axis=0), kind="stable")
    evidence = {found.names[place]: modelled.evidence(found.names[place]) for place in order[:MOST_ASKED]}
    titles = modelled.sweep.titles(found.names)
    told = {name for name in evidence if modelled.matters(name)}
    main = [
        _effect((found.names[place],), titles, found.main[:, place], evidence, found.names[place] in told)
        for place in order
    ]
    return EffectsView(
        reason=None,
        trials=trials,
        main=tuple(main),
        together=_together(found, titles, told),
        pairs=len(found.pairs),
        bar=modelled.bar,
    )


def _together(found: Effects, titles: dict[str, str], told: set[str]) -> tuple[Effect, ...]:
    order = np.argsort(-np.median(found.together, axis=0), kind="stable")[:MOST_PAIRS]
    shown = []
    for place in order:
        pair, draws = found.pairs[place], found.together[:, place]
        is_told = set(pair) <= told and float(np.quantile(draws, BAND[0])) >= LEAST
        shown.append(_effect(pair, titles, draws, {}, is_told))
    return tuple(shown)


def _effect(
    keys: tuple[str, ...], titles: dict[str, str], draws: Floats, evidence: dict[str, float], is_told: bool
) -> Effect:
    low, middle, high = (float(value) for value in np.quantile(draws, BAND))
    return Effect(
        keys=keys,
        title=" × ".join(titles[key] for key in keys),
        middle=middle,
        low=low,
        high=high,
        evidence=evidence.get(keys[0]),
        is_told=is_told,
    )
