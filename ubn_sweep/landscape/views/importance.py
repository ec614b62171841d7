"""Which parameters mattered, with the doubt that few trials leave."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from ubn_sweep.landscape.needs import IMPORTANCE_TRIALS
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.epochs import COMMON_SHARE, common_epoch, reached

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MIN_ACTIVE = 8
SHUFFLES = 1000
BLOCK = 2**22
"""Numbers that are shuffled at once."""
MOST_LISTED = 4
"""Ordered parameters of more values than these are taken for numbers."""
SIGNIFICANCE = 0.05
INTERVAL = 0.8
OWN = 0.2
"""Length of a factor's direction beside the others, from 0 to 1, below which it cannot be told from them."""


@dataclass(frozen=True, kw_only=True)
class ParameterImportance:
    """How much of the trials' order goes with one parameter."""

    key: str
    n: int
    """Trials in which it was active."""
    importance: float
    """Share of the variance of the scores' ranks that it adds to the parameters named before it, less what chance adds;
    0 for none."""
    low: float
    """Bounds of its 80% interval."""
    high: float
    chance: float
    """What 95% of shuffled sweeps stay below."""
    p_value: float
    """Of no influence, corrected for having looked at all parameters."""
    withheld: bool = False
    """Whether it is not to be told of, since it is found too often where nothing matters."""

    @property
    def is_shown(self) -> bool:
        return not self.withheld and self.p_value <= SIGNIFICANCE


@dataclass(frozen=True, kw_only=True)
class ImportanceView:
    """Most important first; empty, with the reason, where there is too little to say."""

    n: int
    epoch: int
    full_budget: bool
    parameters: tuple[ParameterImportance, ...]
    left_out: tuple[str, ...]
    """Parameters active in too few trials, or with one value only."""
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class _Factor:
    """A parameter as a regression has it."""

    key: str
    active: Bools
    """(trials,)"""
    basis: Array
    """(active trials, degrees of freedom): orthonormal columns, each of mean zero."""

    @property
    def columns(self) -> Array:
        """(trials, degrees of freedom), 0 where it is not active."""
        found = np.zeros((len(self.active), self.basis.shape[1]))
        found[self.active] = self.basis
        return found

    def beside(self, known: Array) -> _Beside:
        """What it adds to columns (trials, any) that are known to matter."""
        given = _orthonormal(known[self.active])
        left, sizes, _ = np.linalg.svd(self.basis - given @ (given.T @ self.basis), full_matrices=False)
        return _Beside(active=self.active, given=given, basis=left[:, sizes > OWN])


@dataclass(frozen=True, kw_only=True)
class _Beside:
    """A factor without what others explain: a partial F test."""

    active: Bools
    given: Array
    basis: Array

    @property
    def freedom(self) -> tuple[int, int]:
        """Of its F statistic."""
        columns = self.basis.shape[1]
        return columns, self.basis.shape[0] - self.given.shape[1] - columns

    @property
    def is_testable(self) -> bool:
        return min(self.freedom) > 0

    def shares(self, ranks: Array) -> Array:
        """(rows,): of the variance of each row of ranks (rows, trials) that the others leave, what goes with it."""
        mine = ranks[:, self.active]
        mine = mine - (mine @ self.given) @ self.given.T
        return ((mine @ self.basis) ** 2).sum(axis=1) / np.maximum((mine**2).sum(axis=1), 1e-12)

    def surprise(self, shares: Array) -> Array:
        """-log p of the F test, so that parameters of different degrees of freedom compare."""
        columns, rest = self.freedom
        statistic = shares / columns / np.maximum((1 - shares) / rest, 1e-12)
        found: Array = -stats.f.logsf(statistic, columns, rest)
        return found


def importance_view(sweep: SweepView, *, seed: int = 0) -> ImportanceView:
    """F tests on the scores' ranks, over all trials at one epoch: the finished ones at the full budget if that is most
    of them.

    A number counts by its place in its range and the square of it, all else by its values. The most surprising
    parameter is named where 5% of shuffled sweeps or less have one as surprising (Westfall and Young, 1993); then the
    others are tested for what they add to it, by shuffling what it leaves (Freedman and Lane, 1983), and so on until
    none is named. An adaptive sampler tries the best values of several parameters together: each by itself, those
    that do not matter seem to.
    """
    trials, epoch = _population(sweep)
    full = epoch == sweep.max_epochs

    def view(
        parameters: tuple[ParameterImportance, ...], left_out: tuple[str, ...], reason: str | None
    ) -> ImportanceView:
        return ImportanceView(
            n=len(trials), epoch=epoch, full_budget=full, parameters=parameters, left_out=left_out, reason=reason
        )  # fmt: skip

    if len(trials) < IMPORTANCE_TRIALS:
        few = f"{len(trials)} trials with a score at epoch {epoch} are too few; it takes {IMPORTANCE_TRIALS}"
        return view((), (), few)
    factors, left_out = _factors(sweep, trials)
    scores = np.array([sweep.metric.better(trial.curve[epoch]) for trial in trials])
    if not factors or float(np.ptp(scores)) == 0.0:
        return view(
            (), left_out, "all trials scored the same" if factors else "no parameter varied in enough trials"
        )
    return view(_measured(factors, stats.rankdata(scores), np.random.default_rng(seed)), left_out, None)


def _population(sweep: SweepView) -> tuple[list[TrialView], int]:
    finished = list(sweep.finished)
    scored = [trial for trial in sweep.trials if trial.curve]
    epoch = common_epoch(sweep)
    if epoch is None or len(finished) >= max(IMPORTANCE_TRIALS, COMMON_SHARE * len(scored)):
        return finished, sweep.max_epochs
    return reached(sweep, epoch), epoch


def _factors(sweep: SweepView, trials: list[TrialView]) -> tuple[list[_Factor], tuple[str, ...]]:
    kept, left_out = [], []
    for key, parameter in sweep.space.items():
        active = np.array([key in trial.params for trial in trials])
        values = [trial.params[key] for trial in trials if key in trial.params]
        factor = None
        if parameter.get("type") != "constant" and len(values) >= MIN_ACTIVE:
            factor = _Factor(key=key, active=active, basis=_basis(parameter, values))
        if factor is not None and 0 < factor.basis.shape[1] < len(values) - 1:
            kept.append(factor)
        else:
            left_out.append(key)
    return kept, tuple(left_out)


def _basis(parameter: dict[str, Any], values: list[Any]) -> Array:
    """(values, columns): a number's place and its square, else which of its values it is."""
    texts = [_text(value) for value in values]
    distinct = sorted(set(texts))
    kind = parameter.get("type")
    if kind in ("float", "int"):
        places = [math.log(value) if parameter.get("log") else float(value) for value in values]
    elif kind == "ordered" and len(distinct) > MOST_LISTED:
        listed = list(dict.fromkeys([*map(_text, parameter.get("values", ())), *texts]))
        places = [float(listed.index(text)) for text in texts]
    else:
        places = []
    if places:
        x = np.array(places)
        x = (x - x.mean()) / max(float(x.std()), 1e-12)
        columns = np.stack([x, x**2], axis=1)
    else:
        columns = np.array([[text == other for other in distinct[1:]] for text in texts], dtype=float)
    columns = columns.reshape(len(values), -1)
    left, sizes, _ = np.linalg.svd(columns - columns.mean(axis=0), full_matrices=False)
    found: Array = left[:, sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1.0)]
    return found


def _measured(
    factors: list[_Factor], ranks: Array, generator: np.random.Generator
) -> tuple[ParameterImportance, ...]:
    """The named ones in the order in which they were found, then the others."""
    rows: list[ParameterImportance] = []
    known = np.ones((len(ranks), 1))
    left = list(factors)
    while left:
        step = _step(left, known, ranks, generator)
        best = min(step, key=lambda row: (row.p_value, -row.importance))
        if best.p_value > SIGNIFICANCE:
            rows += sorted(step, key=lambda row: (row.p_value, -row.importance))
            break
        rows.append(best)
        (found,) = (factor for factor in left if factor.key == best.key)
        left.remove(found)
        known = np.concatenate([known, found.columns], axis=1)
    return tuple(rows)


def _step(
    factors: list[_Factor], known: Array, ranks: Array, generator: np.random.Generator
) -> list[ParameterImportance]:
    """Each factor beside what is known."""
    beside = [factor.beside(known) for factor in factors]
    given = _orthonormal(known)
    rest = ranks - given @ (given.T @ ranks)
    remaining = float(rest @ rest) / float(((ranks - ranks.mean()) ** 2).sum())
    shuffled = _shuffled(beside, rest, generator)
    seen = [float(one.shares(rest[None])[0]) if one.is_testable else 0.0 for one in beside]
    surprise = [
        float(one.surprise(np.array([share]))[0]) if one.is_testable else 0.0
        for one, share in zip(beside, seen, strict=True)
    ]
    largest = np.max(
        [one.surprise(row) for one, row in zip(beside, shuffled, strict=True) if one.is_testable]
        or [np.zeros(SHUFFLES)],
        axis=0,
    )
    rows = []
    for place, (factor, one) in enumerate(zip(factors, beside, strict=True)):
        estimate, low, high, chance = 0.0, 0.0, 0.0, 0.0
        if one.is_testable:
            estimate, low, high = _interval(seen[place], *one.freedom)
            chance = _less_chance(float(np.quantile(shuffled[place], 0.95)), *one.freedom)
        as_surprising = int((largest >= surprise[place] - 1e-9).sum())
        rows.append(
            ParameterImportance(
                key=factor.key,
                n=int(factor.active.sum()),
                importance=remaining * estimate,
                low=remaining * low,
                high=remaining * high,
                chance=remaining * chance,
                p_value=(1 + as_surprising) / (1 + len(largest)) if one.is_testable else 1.0,
            )
        )
    return rows


def _shuffled(factors: list[_Beside], rest: Array, generator: np.random.Generator) -> Array:
    """(factors, SHUFFLES): shares where what is left of the scores is shuffled among the trials."""
    at_once = max(1, min(SHUFFLES, BLOCK // len(rest)))
    blocks = []
    for begin in range(0, SHUFFLES, at_once):
        rows = np.tile(rest, (min(at_once, SHUFFLES - begin), 1))
        mixed = generator.permuted(rows, axis=1)
        blocks.append(np.stack([factor.shares(mixed) for factor in factors]))
    return np.concatenate(blocks, axis=1)


def _orthonormal(columns: Array) -> Array:
    """A basis of what columns (rows, any) span."""
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    found: Array = left[:, sizes > 1e-6 * max(float(sizes.max(initial=0.0)), 1e-12)]
    return found


def _less_chance(share: float, columns: int, rest: int) -> float:
    """The adjusted share: 0 is what chance gives on average."""
    return max(0.0, 1 - (1 - share) * (columns + rest) / rest)


def _interval(share: float, columns: int, rest: int) -> tuple[float, float, float]:
    """(adjusted share, and the bounds of its interval), by Fisher's z of its root, the multiple correlation: parameters
    are drawn as scores are, so that their shares scatter more than those of a planned experiment."""
    estimate = _less_chance(share, columns, rest)
    middle = math.atanh(math.sqrt(min(estimate, 1 - 1e-12)))
    half = float(stats.norm.ppf(0.5 + INTERVAL / 2)) / math.sqrt(max(rest - 1, 1))
    return estimate, math.tanh(max(middle - half, 0.0)) ** 2, math.tanh(middle + half) ** 2


def _text(value: Any) -> str:
    """Values compare by this text: the table holds null as `none`, and whole numbers as real ones at times."""
    if value is None or value == "none":
        return "none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json.dumps(value, sort_keys=True)
    return repr(float(value))
