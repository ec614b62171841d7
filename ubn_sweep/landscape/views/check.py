"""A second opinion on the model's bands: finished trials foretold without themselves, and by a conformal forest.

The forest's interval is its prediction plus and minus the residual that 90% of the finished trials stay within, each
foretold by the trees that did not see it: it holds nine of ten new trials whatever the truth looks like, if they come
as those did (Johansson et al., "Regression conformal prediction with random forests", Machine Learning 97, 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.surrogate.last_epoch import LastEpochModel, Seen

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.90
FOLDS = 3
MIN_FINISHED = 10
MOST_TRIALS = 1000
"""More take minutes: the model is fitted anew for each fold."""
TREES = 200
ALPHA = 0.05
POINTS = 128
"""Of the declared space, where both are asked."""
LEAST_WITHIN = 0.8
"""Of these points, at which the forest's interval holds what the model expects where both agree: 90%, and chance."""


@dataclass(frozen=True, kw_only=True)
class CheckView:
    """What both hold of the finished trials; without numbers, and with the reason, where it was not asked."""

    reason: str | None
    n: int = 0
    """Finished trials, each foretold without itself."""
    model: int = 0
    """How many of them the Gaussian process's 90% bands hold."""
    within: float = 0.0
    """At how many points of the space, as a share, the forest's 90% interval holds what the model expects."""
    model_width: float = 0.0
    """Mean widths, in the objective's unit."""
    forest_width: float = 0.0
    agree: bool = False
    """Whether the bands hold as many as 90% bands do in 95 of 100 cases, and the forest's intervals what the model
    expects at four points of five."""


def check_view(modelled: Modelled) -> CheckView:
    """Threefold: the model without a third of the finished trials, and the forest's trees that did not see one."""
    sweep = modelled.sweep
    reason = modelled.why_not()
    _, finished = modelled.counts()
    if reason is None and finished < MIN_FINISHED:
        reason = f"{finished} of {MIN_FINISHED} finished trials that it takes"
    if reason is None and len(sweep.trials) > MOST_TRIALS:
        reason = f"more than {MOST_TRIALS:,} trials"
    if reason is not None:
        return CheckView(reason=reason)
    seen = modelled.model.seen
    # Diverged trials stand at the last epoch with the worst score: they are no draws from what the bands are about.
    whole = {
        place
        for place, trial in enumerate(t for t in sweep.trials if t.curve or t.status == "diverged")
        if trial.status == "completed"
    }
    last = np.flatnonzero((seen.epoch >= sweep.max_epochs) & np.isin(seen.trial, list(whole)))
    if len(last) < MIN_FINISHED:
        return CheckView(reason=f"{len(last)} of {MIN_FINISHED} finished trials that it takes")
    held, widths = _by_the_model(modelled, seen, last)
    within, forest_width = _by_the_forest(modelled, seen, last)
    covers = float(stats.binom.cdf(int(held.sum()), len(last), CONFIDENCE)) >= ALPHA
    return CheckView(
        reason=None,
        n=len(last),
        model=int(held.sum()),
        within=within,
        model_width=float(widths.mean()),
        forest_width=forest_width,
        agree=covers and within >= LEAST_WITHIN,
    )


def _by_the_model(
    modelled: Modelled, seen: Seen, last: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], Floats]:
    """(whether its band holds it, the band's width) for each finished trial, by a model that never saw the trial."""
    z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
    folds = np.random.default_rng(0).permutation(len(last)) % FOLDS
    held, widths = np.zeros(len(last), bool), np.zeros(len(last))
    for fold in range(FOLDS):
        mine = last[folds == fold]
        others = seen.take(np.flatnonzero(~np.isin(seen.trial, seen.trial[mine])))
        model = LastEpochModel(modelled.space, others, max_epochs=modelled.sweep.max_epochs)
        mean, deviation = model.mean_and_deviation(seen.codes[seen.trial[mine]])
        noise = float(np.exp(model.kernel.log_scales[4:]).sum())
        known = seen.error[mine] * model.scale.slope(seen.value[mine]) ** 2
        reach = z * np.sqrt(deviation**2 + noise + known)
        low, high = model.scale.back(mean - reach), model.scale.back(mean + reach)
        held[folds == fold] = (low <= seen.value[mine]) & (seen.value[mine] <= high)
        widths[folds == fold] = high - low
    return held, widths


def _by_the_forest(modelled: Modelled, seen: Seen, last: npt.NDArray[np.int64]) -> tuple[float, float]:
    """(share of points at which its interval holds what the model expects, its width), from each trial's last epoch."""
    from sklearn.ensemble import RandomForestRegressor

    ends = np.flatnonzero(np.r_[seen.trial[1:] != seen.trial[:-1], True])
    features = modelled.space.coding.features(seen.codes[seen.trial[ends]])
    x = np.column_stack([features, np.log(seen.epoch[ends])])
    forest = RandomForestRegressor(n_estimators=TREES, oob_score=True, min_samples_leaf=2, random_state=0)
    forest.fit(x, seen.value[ends])
    residuals = np.abs(seen.value[ends] - forest.oob_prediction_)[np.isin(ends, last)]
    # The n-th of n + 1 places: with few trials the largest residual.
    place = min(math.ceil(CONFIDENCE * (len(residuals) + 1)), len(residuals)) - 1
    reach = float(np.sort(residuals)[place])
    model, space = modelled.model, modelled.space
    codes = space.points(POINTS, np.random.default_rng(0))
    end = np.full(POINTS, np.log(modelled.sweep.max_epochs))
    foretold = forest.predict(np.column_stack([space.coding.features(codes), end]))
    expected = model.scale.back(model.mean(codes))
    return float((np.abs(expected - foretold) <= reach).mean()), 2 * reach
