"""A Gaussian process over configuration and epoch.

    k((x, t), (x', t')) = 1 + a_x m(x, x') + a_xt m(x, x') r(t, t') + a_t r(t, t') + a_same [same trial]
                          + noise e^(growth (log last epoch - t)) [same row]

with m the Matern-5/2 kernel with a length per parameter and r the squared exponential in t, the logarithm
of the epoch. What a configuration is worth at the end (a_x) is learned from all epochs; how its curve differs
from the average curve (a_xt, a_t) from the same rows. Early values scatter more than late ones: `growth` says by how
much; a search does without it, at 0.

Sources: Rasmussen and Williams, "Gaussian Processes for Machine Learning", chapters 4 and 5, for the kernels
and the likelihood's gradient; for a kernel over both, Swersky, Snoek and Adams, "Freeze-Thaw Bayesian
Optimization", arXiv 1406.3896, and Kandasamy et al., arXiv 1703.06240.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]

_JITTER = 1e-6
# Normal priors on the logarithms: (mean, standard deviation, lower bound, upper bound).
_INVERSE_SQUARED_LENGTH = (0.0, 2.0, -8.0, 9.0)
_SCALES = np.array(
    [
        (0.0, 1.0, -6.0, 4.0),  # a_x
        (math.log(0.3), 1.0, -6.0, 4.0),  # a_xt
        (math.log(0.5), 1.0, -6.0, 4.0),  # a_t
        (math.log(0.5), 0.7, -3.0, 2.0),  # length in t
        (math.log(1e-3), 2.0, -12.0, 1.0),  # noise
        (math.log(1e-3), 2.0, -12.0, 1.0),  # a_same
    ]
)
_GROWTH = (1.0, 1.0, 0.0, 6.0)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Observations: features x (n, columns), log epoch t (n,), trial (n,) and standardised value y (n,)."""

    x: Floats
    t: Floats
    trial: npt.NDArray[np.int64]
    y: Floats

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: npt.NDArray[np.int64]) -> "Rows":
        return Rows(x=self.x[index], t=self.t[index], trial=self.trial[index], y=self.y[index])

    def and_rows(self, other: "Rows") -> "Rows":
        return Rows(
            x=np.concatenate([self.x, other.x]),
            t=np.concatenate([self.t, other.t]),
            trial=np.concatenate([self.trial, other.trial]),
            y=np.concatenate([self.y, other.y]),
        )


@dataclass(frozen=True, kw_only=True)
class TrialErrors:
    """What all rows of a trial are off by together: its seed, and chance in the examples that it is judged by."""

    known: Floats
    """(n,) variance that is known of each row's trial."""
    last: float
    """Logarithm of the last epoch."""
    effect: float
    """What a_same, all else that a trial is off by, is expected to be. Where too little is expected, the rest passes
    for an influence of whatever differs between trials."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Logarithms of the inverse squared lengths (one for each parameter) and of the scales."""

    log_weights: Floats
    log_scales: Floats
    parameter_of_column: npt.NDArray[np.int64]
    growth: float = 0.0
    """Of the noise's logarithm, for each unit of t before `last`."""
    last: float = 0.0

    @property
    def column_weights(self) -> Floats:
        return np.exp(self.log_weights)[self.parameter_of_column]

    def between(self, x: Floats, t: Floats, rows: Rows) -> Floats:
        """Covariance of f(x, t) with f at the rows; x (m, columns), t (m,) -> (m, n)."""
        a_x, a_xt, a_t, length, _, _ = np.exp(self.log_scales)
        root = np.sqrt(self.column_weights)
        m, _ = _matern(_squared_distances(x * root, rows.x * root))
        r = np.exp(-0.5 * ((t[:, None] - rows.t) / length) ** 2)
        return 1.0 + m * (a_x + a_xt * r) + a_t * r

    def noise(self, t: Floats) -> Floats:
        """Variance of what each row is off by alone, after epochs with these logarithms."""
        noise: Floats = np.exp(self.log_scales[4] + self.growth * (self.last - t))
        return noise

    @property
    def variance(self) -> float:
        """Prior variance of f at one point."""
        return 1.0 + float(np.exp(self.log_scales[:3]).sum())


class Posterior:
    """f given the rows, for one kernel."""

    def __init__(self, kernel: Kernel, rows: Rows):
        self.kernel, self.rows = kernel, rows
        covariance = kernel.between(rows.x, rows.t, rows)
        covariance += np.exp(kernel.log_scales[5]) * (rows.trial[:, None] == rows.trial)
        covariance[np.diag_indices_from(covariance)] += kernel.noise(rows.t)
        self._lower = _cholesky(covariance)
        self._alpha = cho_solve((self._lower, True), rows.y, check_finite=False)

    def mean(self, x: Floats, t: float) -> Floats:
        return self.kernel.between(x, np.full(len(x), t), self.rows) @ self._alpha

    def mean_and_deviation(self, x: Floats, t: float) -> tuple[Floats, Floats]:
        cross = self.kernel.between(x, np.full(len(x), t), self.rows)
        solved = solve_triangular(self._lower, cross.T, lower=True, check_finite=False)
        variance = self.kernel.variance - np.einsum("ij,ij->j", solved, solved)
        return cross @ self._alpha, np.sqrt(np.maximum(variance, 1e-12))

    def believing(self, x: Floats, t: float) -> "Posterior":
        """As it would be if these configurations came out as expected: surer near them, and nowhere else."""
        if len(x) == 0:
            return self
        believed = Rows(x=x, t=np.full(len(x), t), trial=-1 - np.arange(len(x)), y=self.mean(x, t))
        return Posterior(self.kernel, self.rows.and_rows(believed))


def fit_kernel(
    rows: Rows,
    parameter_of_column: npt.NDArray[np.int64],
    max_iterations: int = 40,
    *,
    start: Kernel | None = None,
    errors: TrialErrors | None = None,
) -> Kernel:
    """The kernel with the highest marginal likelihood times prior, by L-BFGS from `start`, or the prior's mode."""
    n_parameters = int(parameter_of_column.max(initial=-1)) + 1
    prior = _prior(n_parameters, errors)
    objective = _Objective(rows, parameter_of_column, prior, errors)
    found = minimize(
        objective,
        prior[:, 0] if start is None else _point(start, errors),
        jac=True,
        method="L-BFGS-B",
        bounds=prior[:, 2:],
        options={"maxiter": max_iterations},
    )
    log_weights, log_scales, growth = np.split(found.x, [n_parameters, n_parameters + len(_SCALES)])
    kernel = Kernel(log_weights=log_weights, log_scales=log_scales, parameter_of_column=parameter_of_column)
    return kernel if errors is None else replace(kernel, growth=float(growth[0]), last=errors.last)


def log_evidence(kernel: Kernel, rows: Rows, errors: TrialErrors | None = None) -> float:
    """Log of the likelihood times the prior of the kernel's parameters, up to a constant that is the same for all."""
    prior = _prior(len(kernel.log_weights), errors)
    loss, _ = _Objective(rows, kernel.parameter_of_column, prior, errors)(_point(kernel, errors))
    return -loss


def _point(kernel: Kernel, errors: TrialErrors | None) -> Floats:
    """What an _Objective takes."""
    more = [] if errors is None else [kernel.growth]
    return np.concatenate([kernel.log_weights, kernel.log_scales, more])


def _prior(n_parameters: int, errors: TrialErrors | None) -> Floats:
    scales = _SCALES.copy()
    if errors is not None:
        scales[-1, 0] = math.log(errors.effect)
        scales = np.concatenate([scales, [_GROWTH]])
    return np.concatenate([np.tile(_INVERSE_SQUARED_LENGTH, (n_parameters, 1)), scales])


class _Objective:
    """Minus the log of likelihood times prior, and its gradient by the logarithms that a Kernel holds."""

    def __init__(
        self,
        rows: Rows,
        parameter_of_column: npt.NDArray[np.int64],
        prior: Floats,
        errors: TrialErrors | None = None,
    ):
        self._rows, self._parameter_of_column, self._prior = rows, parameter_of_column, prior
        self._n_parameters = len(prior) - len(_SCALES) - (errors is not None)
        self._before = np.zeros(len(rows)) if errors is None else errors.last - rows.t
        self._squared_dt = (rows.t[:, None] - rows.t) ** 2
        self._same = (rows.trial[:, None] == rows.trial).astype(float)
        self._known = None if errors is None else self._same * np.sqrt(np.outer(errors.known, errors.known))

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        x, y = self._rows.x, self._rows.y
        ends = [self._n_parameters, self._n_parameters + len(_SCALES)]
        log_weights, log_scales, growth = np.split(point, ends)
        a_x, a_xt, a_t, length, noise, a_same = np.exp(log_scales)
        noises = noise * np.exp(growth.sum() * self._before)
        weights = np.exp(log_weights)[self._parameter_of_column]
        scaled = x * np.sqrt(weights)
        m, slope = _matern(_squared_distances(scaled, scaled))
        r = np.exp(-0.5 * self._squared_dt / length**2)
        covariance = 1.0 + m * (a_x + a_xt * r) + a_t * r + a_same * self._same
        if self._known is not None:
            covariance += self._known
        covariance[np.diag_indices_from(covariance)] += noises
        lower = _cholesky(covariance)
        inverse = lapack.dpotri(lower, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        alpha = inverse @ y

        g = 0.5 * (inverse - np.outer(alpha, alpha))  # derivative by the covariance
        by_distance = g * slope * (a_x + a_xt * r)
        by_column = 2 * weights * (by_distance.sum(axis=1) @ x**2 - np.einsum("ij,ij->j", by_distance @ x, x))
        by_weight = np.bincount(self._parameter_of_column, weights=by_column, minlength=self._n_parameters)
        gr, by_noise = g * r, np.diag(g) * noises
        by_scale = [
            a_x * np.vdot(g, m),
            a_xt * np.vdot(gr, m),
            a_t * gr.sum(),
            np.vdot(gr * (a_xt * m + a_t), self._squared_dt) / length**2,
            by_noise.sum(),
            a_same * np.vdot(g, self._same),
            *([by_noise @ self._before] if len(growth) else []),
        ]
        mean, deviation = self._prior[:, 0], self._prior[:, 1]
        off = (point - mean) / deviation
        loss = 0.5 * y @ alpha + np.log(np.diag(lower)).sum() + 0.5 * off @ off
        return float(loss), np.concatenate([by_weight, by_scale]) + off / deviation


def _matern(squared: Floats) -> tuple[Floats, Floats]:
    """Matern-5/2 of the squared distance, and its derivative by the squared distance."""
    s = np.sqrt(5 * squared)
    decay = np.exp(-s)
    return (1 + s + s * s / 3) * decay, -(5 / 6) * (1 + s) * decay


def _squared_distances(a: Floats, b: Floats) -> Floats:
    squares: Floats = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0.0)


def _cholesky(covariance: Floats) -> Floats:
    jitter = _JITTER
    while True:
        try:
            return np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))).astype(np.float64)
        except np.linalg.LinAlgError:
            if jitter > 1e-2:
                raise
            jitter *= 10
