"""Which parameters mattered, with the doubt that few trials leave."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ubn_sweep.landscape.needs import IMPORTANCE_TRIALS
from ubn_sweep.landscape.read import SweepView, TrialView
from ubn_sweep.landscape.views.epochs import COMMON_SHARE, common_epoch, reached
from ubn_sweep.landscape.views.ped_anova import INACTIVE as NO_CELL
from ubn_sweep.landscape.views.ped_anova import Column, importances, numeric_column

Array = npt.NDArray[np.float64]

MIN_ACTIVE = 8
TOP_SHARE = 0.25
SHUFFLES = 200
RESAMPLES = 40
SIGNIFICANCE = 0.05
INACTIVE = object()


@dataclass(frozen=True, kw_only=True)
class ParameterImportance:
    """How much one parameter decides whether a trial is among the best quarter."""

    key: str
    n: int
    """Trials in which it was active."""
    importance: float
    """PED-ANOVA's divergence: 0 where the best trials have the same values as all trials."""
    low: float
    high: float
    """80% of the bootstrap's importances."""
    chance: float
    """What 95% of shuffled sweeps stay below."""
    p_value: float
    """Of no influence, corrected for having looked at all parameters."""

    @property
    def is_shown(self) -> bool:
        return self.p_value <= SIGNIFICANCE


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


def importance_view(sweep: SweepView, *, seed: int = 0) -> ImportanceView:
    """PED-ANOVA over all trials at one epoch, the finished ones at the full budget if that is most of them.

    The importance of a parameter is the Pearson divergence between its values' density among the best quarter of
    the trials and among all trials in which it is active (Watanabe et al., arXiv 2304.10255, and for conditional
    parameters arXiv 2601.20800; `ped_anova.py`). The chance level comes from shuffling the scores among
    the trials; the p-value compares with the shuffles' largest standardised importance (Westfall and Young, 1993),
    so that under no influence at all the chance to name any parameter is 5%.
    """
    trials, epoch = _population(sweep)
    full = epoch == sweep.max_epochs
    if len(trials) < IMPORTANCE_TRIALS:
        return ImportanceView(
            n=len(trials), epoch=epoch, full_budget=full, parameters=(), left_out=(),
            reason=f"{len(trials)} trials with a score at epoch {epoch} are too few; it takes {IMPORTANCE_TRIALS}",
        )  # fmt: skip
    keys, left_out = _keys(sweep, trials)
    scores = np.array([sweep.metric.better(trial.curve[epoch]) for trial in trials])
    if not keys or float(np.ptp(scores)) == 0.0:
        why = "no parameter varied in enough trials" if not keys else "all trials scored the same"
        return ImportanceView(
            n=len(trials), epoch=epoch, full_budget=full, parameters=(), left_out=left_out, reason=why
        )
    found = _measured(sweep, trials, scores, keys, np.random.default_rng(seed))
    return ImportanceView(
        n=len(trials), epoch=epoch, full_budget=full, parameters=found, left_out=left_out, reason=None
    )


def _population(sweep: SweepView) -> tuple[list[TrialView], int]:
    finished = list(sweep.finished)
    scored = [trial for trial in sweep.trials if trial.curve]
    epoch = common_epoch(sweep)
    if epoch is None or len(finished) >= max(IMPORTANCE_TRIALS, COMMON_SHARE * len(scored)):
        return finished, sweep.max_epochs
    return reached(sweep, epoch), epoch


def _keys(sweep: SweepView, trials: list[TrialView]) -> tuple[list[str], tuple[str, ...]]:
    kept, left_out = [], []
    for key, parameter in sweep.space.items():
        values = [trial.params[key] for trial in trials if key in trial.params]
        enough = len(values) >= MIN_ACTIVE and len({repr(value) for value in values}) > 1
        if parameter.get("type") != "constant" and enough:
            kept.append(key)
        else:
            left_out.append(key)
    return kept, tuple(left_out)


def _measured(
    sweep: SweepView, trials: list[TrialView], scores: Array, keys: list[str], generator: np.random.Generator
) -> tuple[ParameterImportance, ...]:
    columns = [
        _column(sweep.space[key], [trial.params.get(key, INACTIVE) for trial in trials]) for key in keys
    ]
    seen = importances(columns, scores, TOP_SHARE)
    shuffled = np.array(
        [importances(columns, generator.permutation(scores), TOP_SHARE) for _ in range(SHUFFLES)]
    )
    chosen = [generator.integers(0, len(trials), len(trials)) for _ in range(RESAMPLES)]
    resampled = np.array(
        [
            importances([column.take(picks) for column in columns], scores[picks], TOP_SHARE)
            for picks in chosen
        ]
    )
    centre, scale = shuffled.mean(axis=0), shuffled.std(axis=0) + 1e-12
    largest = ((shuffled - centre) / scale).max(axis=1)
    p_values = (1 + (largest[:, None] >= (seen - centre) / scale).sum(axis=0)) / (1 + SHUFFLES)
    low, high = np.quantile(resampled, [0.1, 0.9], axis=0)
    chance = np.quantile(shuffled, 0.95, axis=0)
    rows = [
        ParameterImportance(
            key=key,
            n=sum(key in trial.params for trial in trials),
            importance=float(seen[index]),
            low=float(low[index]),
            high=float(high[index]),
            chance=float(chance[index]),
            p_value=float(p_values[index]),
        )
        for index, key in enumerate(keys)
    ]
    return tuple(sorted(rows, key=lambda row: (row.p_value, -row.importance / (row.chance + 1e-12))))


def _column(parameter: dict[str, Any], values: list[Any]) -> Column:
    """Ordered values become their places; a range is widened where a trial lies outside."""
    if parameter.get("type") in ("float", "int"):
        numbers = np.array([math.nan if value is INACTIVE else float(value) for value in values])
        low = min(float(parameter["low"]), float(np.nanmin(numbers)))
        high = max(float(parameter["high"]), float(np.nanmax(numbers)))
        whole = parameter["type"] == "int"
        return numeric_column(numbers, low, high, log=bool(parameter.get("log")), whole=whole)
    texts = [None if value is INACTIVE else _text(value) for value in values]
    known = [_text(item) for item in parameter.get("values", ())]
    places = {text: place for place, text in enumerate(dict.fromkeys((*known, *filter(None, texts))))}
    cells = np.array([NO_CELL if text is None else places[text] for text in texts])
    is_ordered = parameter.get("type") == "ordered"
    return Column(cells=cells, size=max(len(places), 2), is_ordered=is_ordered)


def _text(value: Any) -> str:
    """Values compare by this text: the table holds null as `none`, and whole numbers as real ones at times."""
    if value is None or value == "none":
        return "none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json.dumps(value, sort_keys=True)
    return repr(float(value))
