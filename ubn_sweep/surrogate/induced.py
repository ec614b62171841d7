"""The process's posterior through inducing points: as many rows as there are, for the cost of a few hundred.

f is taken to be k(., Z) K_ZZ^-1 u for m points Z, which may be rows themselves: where all of them are, nothing is lost
but between rows. With phi(x) = L^-1 k(Z, x), L L^T = K_ZZ, and w ~ N(0, I) it is a linear model, f(x) = phi(x)^T w.

Source: Quinonero-Candela and Rasmussen, "A Unifying View of Sparse Approximate Gaussian Process Regression", JMLR 6,
2005, section 5 (deterministic training conditional); the errors of a trial's rows are not independent here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from ubn_sweep.surrogate.process import Kernel, Rows

Floats = npt.NDArray[np.float64]
JITTER = 1e-6
BLOCK = 64
"""Groups of points at once."""


class InducedPosterior:
    """w given the rows.

    Errors are noise, independent from row to row, and an effect of the trial that all of its rows share: the kernel's
    a_same, and what is known of it beside that (chance in which images it was judged by): `known` (rows,), a variance.
    Rows lie trial by trial.
    """

    def __init__(self, kernel: Kernel, rows: Rows, *, inducing: Rows, known: Floats) -> None:
        self.kernel = kernel
        self._inducing = inducing
        among = kernel.between(inducing.x, inducing.t, inducing)
        among[np.diag_indices_from(among)] += JITTER * kernel.variance
        self._root = np.linalg.cholesky(among)
        phi = self._phi(rows.x, rows.t)
        precise = 1 / np.maximum(kernel.noise(rows.t), JITTER)
        starts = np.flatnonzero(np.r_[True, rows.trial[1:] != rows.trial[:-1]])
        shared = np.exp(kernel.log_scales[5]) + np.maximum.reduceat(known, starts)
        # The inverse of diag(1 / precise) + shared 11^T, trial by trial, by Sherman and Morrison.
        factor = shared / (1 + shared * np.add.reduceat(precise, starts))
        weighted = phi * precise
        sums, sums_y = np.add.reduceat(weighted, starts, axis=1), np.add.reduceat(precise * rows.y, starts)
        precision = weighted @ phi.T - (sums * factor) @ sums.T
        precision[np.diag_indices_from(precision)] += 1.0
        self._lower = np.linalg.cholesky(precision)
        right = weighted @ rows.y - sums @ (factor * sums_y)
        self._w = solve_triangular(
            self._lower.T, solve_triangular(self._lower, right, lower=True), lower=False
        )
        self._weights: Floats = solve_triangular(self._root.T, self._w, lower=False)

    def mean(self, x: Floats, t: float) -> Floats:
        """Of f at x (n, columns), one epoch's logarithm for all; for a tenth of what the deviation costs."""
        across: Floats = self.kernel.between(x, np.full(len(x), t), self._inducing)
        return across @ self._weights

    def mean_and_deviation(self, x: Floats, t: float) -> tuple[Floats, Floats]:
        """Of f at x (n, columns), one epoch's logarithm for all."""
        phi = self._phi(x, np.full(len(x), t))
        known = solve_triangular(self._lower, phi, lower=True, check_finite=False)
        variance = self.kernel.variance - (phi**2).sum(axis=0) + (known**2).sum(axis=0)
        return self._w @ phi, np.sqrt(np.maximum(variance, 1e-12))

    def averaged(
        self, x: Floats, t: float, n: int, rng: np.random.Generator, *, widening: float = 1.0
    ) -> tuple[Floats, Floats, Floats]:
        """Means of f over groups of points, x (groups, points, columns) -> (expected, deviation, n joint draws).

        Averaging is linear, so that a group costs little more than a point.
        """
        groups, points, columns = x.shape
        across = np.empty((groups, len(self._w)))
        for begin in range(0, groups, BLOCK):
            block = x[begin : begin + BLOCK].reshape(-1, columns)
            found = self.kernel.between(block, np.full(len(block), t), self._inducing)
            across[begin : begin + BLOCK] = found.reshape(-1, points, len(self._w)).mean(axis=1)
        phi = solve_triangular(self._root, across.T, lower=True, check_finite=False)
        known = solve_triangular(self._lower, phi, lower=True, check_finite=False)
        chance = solve_triangular(self._lower.T, rng.normal(size=(len(self._w), n)), lower=False)
        expected: Floats = self._w @ phi
        deviation: Floats = widening * np.sqrt((known**2).sum(axis=0))
        return expected, deviation, expected + widening * chance.T @ phi

    def draws(
        self, x: Floats, t: float, n: int, rng: np.random.Generator, *, widening: float = 1.0
    ) -> Floats:
        """n joint draws of f at x -> (n, len(x)), but for what the inducing points leave open.

        `widening` multiplies their distance from the mean.
        """
        chance = solve_triangular(self._lower.T, rng.normal(size=(len(self._w), n)), lower=False)
        return (self._w[:, None] + widening * chance).T @ self._phi(x, np.full(len(x), t))

    def _phi(self, x: Floats, t: Floats) -> Floats:
        """(m, n)"""
        across = self.kernel.between(x, t, self._inducing).T
        return solve_triangular(self._root, across, lower=True, check_finite=False)
