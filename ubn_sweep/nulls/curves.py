"""Learning curves like a sweep's own, for trials that it did not train.

A stopped trial's later epochs are not known. What becomes of a trial is decided by what was seen of it, so that from
the trials that went on one may learn how each epoch follows from those before, and continue the others by that: the
factored likelihood of values that are missing in steps (Little and Rubin, Statistical Analysis with Missing Data,
2002, chapter 7). Each replay continues them anew, by residuals that it draws, since nobody knows how they would have
gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BLEND = 0.3
"""Weight of a second trial's deviation in a drawn curve, so that hardly any two are the same; the first one's is such
that variances and correlations stay as they are."""
RIDGE = 2.0
"""How many trials the belief counts as that a trial keeps its distance from the others."""
FEW_RESIDUALS = 6


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Whole curves of a sweep's trials, for others to be drawn from."""

    curves: Floats
    """(trials, epochs), none missing."""

    @property
    def mean(self) -> Floats:
        """(epochs,)"""
        found: Floats = self.curves.mean(axis=0)
        return found

    def deviation(self, first: int, rng: np.random.Generator) -> Floats:
        """(epochs,) about the mean: mostly a given trial's, with some of another one that is drawn."""
        other = int(rng.integers(len(self.curves)))
        blended = np.sqrt(1 - BLEND**2) * self.curves[first] + BLEND * self.curves[other]
        deviation: Floats = blended - (np.sqrt(1 - BLEND**2) + BLEND) * self.mean
        return deviation


def continued(seen: Floats, rng: np.random.Generator) -> Floats:
    """Curves (trials, epochs), NaN after each one's last epoch, continued to the end; each has a first value.

    From epoch to epoch a trial's step is regressed on its value and on the mean of all its values so far, among the
    trials that were seen to go on; a continued one adds the residual of one of them.
    """
    whole = seen.copy()
    residuals = np.zeros(1)
    for epoch in range(1, whole.shape[1]):
        went_on, ended = ~np.isnan(seen[:, epoch]), np.isnan(whole[:, epoch])
        so_far = np.stack([whole[:, epoch - 1], whole[:, :epoch].mean(axis=1)], axis=1)
        steps, found = np.zeros(len(whole)), np.zeros(0)
        if went_on.any():
            step = seen[went_on, epoch] - seen[went_on, epoch - 1]
            steps, found = _regressed(so_far, so_far[went_on], step)
        residuals = found if len(found) >= FEW_RESIDUALS else np.concatenate([found, residuals])
        drawn = rng.choice(residuals, int(ended.sum()))
        whole[ended, epoch] = whole[ended, epoch - 1] + steps[ended] + drawn
    return whole


def _regressed(x: Floats, among: Floats, y: Floats) -> tuple[Floats, Floats]:
    """(expected y at each row of x, residuals widened by the parameters that were fitted); `among` are the rows of y.

    Slopes are pulled to zero by RIDGE trials' worth.
    """
    centre = among.mean(axis=0)
    centred = among - centre
    spread = np.maximum(centred.var(axis=0), 1e-18)
    gram = centred.T @ centred + RIDGE * np.diag(spread)
    slopes = np.linalg.solve(gram, centred.T @ (y - y.mean()))
    expected = y.mean() + (x - centre) @ slopes
    residuals = y - y.mean() - centred @ slopes
    freedom = len(y) - 1 - float(np.trace(np.linalg.solve(gram, centred.T @ centred)))
    return expected, residuals * np.sqrt(len(y) / max(freedom, 1.0))
