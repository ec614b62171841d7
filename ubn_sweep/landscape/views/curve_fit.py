"""A smooth curve through scattered scores, with a band that knows what it does not know."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import logsumexp

from ubn_sweep.landscape.needs import CURVE_TRIALS

Array = npt.NDArray[np.float64]

GRID_POINTS = 81
JITTER = 1e-6
"""Added to the curves' covariance, in units of the scores' variance, so that it can be factored."""
DRAWS = 2000
FLAT_PRIOR = 0.5
LENGTHS = (0.08, 0.15, 0.3, 0.6)
"""Length scales, as shares of the range."""
SIGNAL_SHARES = (0.2, 0.4, 0.6, 0.8, 0.95)
"""Shares of the variance that the curve may explain; the rest is what else varies, and chance."""
VARIANCES = (0.5, 1.0, 2.0)
"""Whole variance, relative to that of the scores."""
OPTIMUM_MASS = 0.8
MOST_PLACES = 400
"""More trials than this are taken to lie at the nearest of so many places along the range: the shortest length scale
spans 32 of them."""


@dataclass(frozen=True, kw_only=True)
class CurveFit:
    """Curve of the mean score over x, its 95% credible band, and where its optimum lies."""

    n: int
    log: bool
    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    noise_std: float
    """Spread of single trials about the curve: the other parameters and the seeds."""
    flat_probability: float
    """Posterior probability of a constant, from a prior of one half."""
    best_x: float
    """Where the mean is best."""
    optimum_low: float
    """The optimum lies between these two with probability 0.8, if there is a curve at all."""
    optimum_high: float
    withheld: bool = False
    """Whether it is not to be told of, since it is found too often where nothing matters."""

    @property
    def shape_is_shown(self) -> bool:
        """Whether the data tell a curve from a constant, at least nine to one."""
        return not self.withheld and self.flat_probability < 0.1


@dataclass(frozen=True, kw_only=True)
class TooFew:
    """Why no curve is drawn."""

    n: int
    reason: str


def fit_curve(
    x: list[float], y: list[float], *, low: float, high: float, log: bool, mode: str = "max", seed: int = 0
) -> CurveFit | TooFew:
    """Averages Gaussian processes over a grid of hyperparameters, each weighted by its marginal likelihood.

    With x scaled to [0, 1] and y to mean 0 and variance 1, each model is y = f(x) + noise,

        f ~ GP(0, v * (s * RBF(l) + 1)),  noise ~ N(0, v * (1 - s)),

    over all v in VARIANCES, s in SIGNAL_SHARES and l in LENGTHS; the constants, s = 0, have a prior of one half.
    Averaging keeps the band honest where the data cannot settle a length scale, which a maximum-likelihood fit
    to a dozen points hides. Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 5.
    """
    reason = _too_few(x, low, high)
    if reason is not None:
        return TooFew(n=len(x), reason=reason)
    inputs = _scaled(np.asarray(x, float), low, high, log)
    scores = np.asarray(y, float)
    centre, scale = float(scores.mean()), float(scores.std())
    scale = scale if scale > 1e-12 else 1.0
    seen = _binned(inputs, (scores - centre) / scale)
    grid = np.linspace(0.0, 1.0, GRID_POINTS)
    models = [model for share, length, prior in _settings() for model in _fit(seen, share, length, prior)]
    weights = _weights(models)
    draws = _draws(models, weights, grid, np.random.default_rng(seed)) * scale + centre
    flat = float(sum(weight for weight, model in zip(weights, models, strict=True) if model.share == 0.0))
    noise = sum(weight * model.noise for weight, model in zip(weights, models, strict=True))
    mean = draws.mean(axis=0)
    points = _unscaled(grid, low, high, log)
    sign = 1.0 if mode == "max" else -1.0
    first, last = _optimum(sign * draws)
    bounds = np.quantile(draws, [0.025, 0.975], axis=0)
    return CurveFit(
        n=len(x),
        log=log,
        x=tuple(points.tolist()),
        mean=tuple(mean.tolist()),
        low=tuple(bounds[0].tolist()),
        high=tuple(bounds[1].tolist()),
        noise_std=math.sqrt(noise) * scale,
        flat_probability=flat,
        best_x=float(points[int(np.argmax(sign * mean))]),
        optimum_low=float(points[first]),
        optimum_high=float(points[last]),
    )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Scores at places: how many, their means, and the sum of their squares about these."""

    x: Array
    count: Array
    mean: Array
    within: float


@dataclass(frozen=True, kw_only=True)
class _Model:
    """One setting, fitted. All matrices are in units of the variance, which so needs no factorization of its own."""

    seen: _Seen
    variance: float
    share: float
    length: float
    lower: Array
    """Cholesky factor of the covariance of the means at the places."""
    alpha: Array
    log_weight: float

    @property
    def noise(self) -> float:
        return self.variance * (1 - self.share)

    def posterior(self, grid: Array) -> tuple[Array, Array]:
        """Mean and covariance of the curve, without the noise of single trials."""
        across = _kernel(grid, self.seen.x, self.share, self.length)
        known = solve_triangular(self.lower, across.T, lower=True, check_finite=False)
        left = _kernel(grid, grid, self.share, self.length) - known.T @ known
        return across @ self.alpha, self.variance * left


def _too_few(x: list[float], low: float, high: float) -> str | None:
    if len(x) < CURVE_TRIALS:
        return f"{len(x)} of {CURVE_TRIALS} trials that it takes"
    if not low < high or len(set(x)) < 4:
        return f"{len(set(x))} of 4 different values that it takes"
    return None


def _settings() -> list[tuple[float, float, float]]:
    """(share, length, prior) of each model, of which there are as many as VARIANCES."""
    curves = list(itertools.product(SIGNAL_SHARES, LENGTHS))
    each = (1 - FLAT_PRIOR) / (len(curves) * len(VARIANCES))
    return [(0.0, 1.0, FLAT_PRIOR / len(VARIANCES)), *((*item, each) for item in curves)]


def _binned(inputs: Array, targets: Array) -> _Seen:
    """Trial by trial; many of them by place."""
    if len(inputs) <= MOST_PLACES:
        return _Seen(x=inputs, count=np.ones(len(inputs)), mean=targets, within=0.0)
    places, of = np.unique(np.rint(inputs * (MOST_PLACES - 1)), return_inverse=True)
    count = np.bincount(of).astype(float)
    mean = np.bincount(of, weights=targets) / count
    return _Seen(
        x=places / (MOST_PLACES - 1), count=count, mean=mean, within=float(((targets - mean[of]) ** 2).sum())
    )


def _kernel(first: Array, second: Array, share: float, length: float) -> Array:
    found: Array = 1 + share * np.exp(-0.5 * ((first[:, None] - second) / length) ** 2)
    return found


def _fit(seen: _Seen, share: float, length: float, prior: float) -> list[_Model]:
    """For each variance v. Trials at one place differ by noise alone, so that their means and `within` tell all:

    log p(y) = log N(means; 0, v (K + (1 - s) / count)) - within / (2 v (1 - s))
               - sum((count - 1) log(2 pi v (1 - s)) + log count) / 2
    """
    noise = 1 - share
    covariance = _kernel(seen.x, seen.x, share, length)
    covariance[np.diag_indices_from(covariance)] += noise / seen.count + 1e-10
    lower: Array = np.linalg.cholesky(covariance).astype(np.float64)
    alpha: Array = cho_solve((lower, True), seen.mean)
    squares = float(seen.mean @ alpha) + seen.within / noise
    n, rest = float(seen.count.sum()), float((seen.count - 1).sum())
    determinant = 2 * float(np.log(np.diag(lower)).sum()) + rest * math.log(noise)
    determinant += float(np.log(seen.count).sum())
    return [
        _Model(
            seen=seen,
            variance=variance,
            share=share,
            length=length,
            lower=lower,
            alpha=alpha,
            log_weight=math.log(prior)
            - 0.5 * (squares / variance + determinant + n * math.log(2 * math.pi * variance)),
        )
        for variance in VARIANCES
    ]


def _weights(models: list[_Model]) -> Array:
    logs = np.array([model.log_weight for model in models])
    weights: Array = np.exp(logs - logsumexp(logs))
    return weights / weights.sum()


def _draws(models: list[_Model], weights: Array, grid: Array, generator: np.random.Generator) -> Array:
    """Curves from the mixture's posterior, (about DRAWS, GRID_POINTS), without the noise of single trials."""
    counts = generator.multinomial(DRAWS, weights)
    parts = []
    for model, count in zip(models, counts, strict=True):
        if count == 0:
            continue
        mean, covariance = model.posterior(grid)
        covariance[np.diag_indices_from(covariance)] += JITTER
        parts.append(generator.multivariate_normal(mean, covariance, size=count, method="cholesky"))
    return np.concatenate(parts)


def _optimum(draws: Array) -> tuple[int, int]:
    """The shortest stretch of the grid that holds OPTIMUM_MASS of the curves' optima; constants have none."""
    spread = draws.max(axis=1) - draws.min(axis=1)
    curved = draws[spread > 1e-3 * max(float(spread.max()), 1e-12)]
    places = np.sort(np.argmax(curved if len(curved) else draws, axis=1))
    held = max(1, math.ceil(OPTIMUM_MASS * len(places)))
    widths = places[held - 1 :] - places[: len(places) - held + 1]
    start = int(np.argmin(widths))
    return int(places[start]), int(places[start + held - 1])


def _scaled(x: Array, low: float, high: float, log: bool) -> Array:
    if log:
        result: Array = (np.log(x) - math.log(low)) / (math.log(high) - math.log(low))
        return result
    return (x - low) / (high - low)


def _unscaled(grid: Array, low: float, high: float, log: bool) -> Array:
    if log:
        result: Array = np.exp(math.log(low) + grid * (math.log(high) - math.log(low)))
        return result
    return low + grid * (high - low)
