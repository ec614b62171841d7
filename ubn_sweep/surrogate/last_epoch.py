"""What any configuration of a space is worth at the last epoch, from all epochs of all trials."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ubn_sweep.surrogate.declared import DeclaredSpace
from ubn_sweep.surrogate.induced import InducedPosterior
from ubn_sweep.surrogate.process import Kernel, Posterior, Rows, TrialErrors, fit_kernel, log_evidence
from ubn_sweep.surrogate.scale import Scale
from ubn_sweep.surrogate.thinning import latest_and_others

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MARKS = 9
"""Epochs of a trial that are looked at: about evenly spread on a log scale, and its last."""
MOST_ROWS = 8000
MOST_FITTED = 250
"""Rows that the kernel's parameters are fitted to."""
TRIAL_EFFECT = 0.03
"""Expected variance, on the model's scale, of what a trial is off by beside known errors: its seed."""
MOST_FIRST = 120
"""Of the rougher model that finds the scale."""
WIDEST = 3.0
"""The most that deviations are multiplied by."""
INDUCING_ROWS, INDUCING_POINTS = 350, 250
"""Inducing points: rows, and points spread over the space at the last epoch."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a sweep saw: (n,) values, higher is better, of trials after epochs; codes are (trials, parameters)."""

    codes: Floats
    trial: Ints
    """Row of `codes`; ascending."""
    epoch: Floats
    value: Floats
    error: Floats
    """Known variance of the trial's value, in its unit squared: chance in the examples it was judged by."""

    def __len__(self) -> int:
        return len(self.value)

    def take(self, index: Ints) -> Seen:
        return Seen(
            codes=self.codes,
            trial=self.trial[index],
            epoch=self.epoch[index],
            value=self.value[index],
            error=self.error[index],
        )


class LastEpochModel:
    """A Gaussian process over configuration and epoch, read at the last epoch over the declared space.

    Values are modelled linearly from the best down to twice the median's distance from it, as a first, rougher model
    over the declared space expects them: an adaptive sampler's own trials would put that scale where it went.
    """

    def __init__(self, space: DeclaredSpace, seen: Seen, *, max_epochs: int, seed: int = 0) -> None:
        self.space = space
        rng = np.random.default_rng([seed, len(seen)])
        seen = _thinned(seen, max_epochs)
        self.seen = seen.take(latest_and_others(seen.epoch, MOST_ROWS, rng))
        self._target = math.log(max_epochs)
        self._features = space.coding.features(seen.codes)
        self._levelled = _levelled(self.seen, max_epochs)
        filling = space.coding.features(space.points(INDUCING_POINTS, rng))
        self.scale = self._scale(filling, rng)
        rows, known = self._rows(self.scale)
        fitted = latest_and_others(self.seen.epoch, MOST_FITTED, rng)
        self._fitted = rows.take(fitted)
        self._errors = TrialErrors(known=known[fitted], last=self._target, effect=TRIAL_EFFECT)
        self.kernel = fit_kernel(self._fitted, space.coding.parameter_of_column, errors=self._errors)
        self.widening = _widening(self.kernel, self._fitted, known[fitted])
        points = Rows(
            x=filling,
            t=np.full(len(filling), self._target),
            trial=np.full(len(filling), -1),
            y=np.zeros(len(filling)),
        )
        inducing = rows.take(latest_and_others(self.seen.epoch, INDUCING_ROWS, rng)).and_rows(points)
        self._posterior = InducedPosterior(self.kernel, rows, inducing=inducing, known=known)

    def _rows(self, scale: Scale) -> tuple[Rows, Floats]:
        """On a scale, with the known variance of each."""
        seen = self.seen
        rows = Rows(
            x=self._features[seen.trial],
            t=np.log(seen.epoch),
            trial=seen.trial,
            y=scale.to(self._levelled),
        )
        return rows, seen.error * scale.slope(self._levelled) ** 2

    def _scale(self, filling: Floats, rng: np.random.Generator) -> Scale:
        first = Scale.of(self._levelled)
        rows = self._rows(first)[0].take(latest_and_others(self.seen.epoch, MOST_FIRST, rng))
        kernel = fit_kernel(rows, self.space.coding.parameter_of_column)
        expected = first.back(Posterior(kernel, rows).mean(filling, self._target))
        highest, median = float(self.seen.value.max()), float(np.median(expected))
        best = min(max(float(expected.max()), highest), highest + max(highest - median, 0.0))
        return Scale.between(best, median, self._levelled)

    def mean_and_deviation(self, codes: Floats) -> tuple[Floats, Floats]:
        """On the model's own scale."""
        mean, deviation = self._posterior.mean_and_deviation(self.space.coding.features(codes), self._target)
        return mean, self.widening * deviation

    def mean(self, codes: Floats) -> Floats:
        """On the model's own scale."""
        return self._posterior.mean(self.space.coding.features(codes), self._target)

    def draws(self, codes: Floats, n: int, rng: np.random.Generator) -> Floats:
        """n joint draws -> (n, len(codes)), on the model's own scale."""
        x = self.space.coding.features(codes)
        return self._posterior.draws(x, self._target, n, rng, widening=self.widening)

    def averaged(self, codes: Floats, n: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Means over groups of points, codes (groups, points, parameters) -> (expected, deviation, n joint draws).

        On the model's own scale; draws are (n, groups).
        """
        groups, points, parameters = codes.shape
        x = self.space.coding.features(codes.reshape(-1, parameters)).reshape(groups, points, -1)
        return self._posterior.averaged(x, self._target, n, rng, widening=self.widening)

    def evidence(self, name: str) -> float:
        """Log of how much more likely the data are with an influence of a parameter, at any epoch, than without any.

        Both with the best kernel of its kind: some evidence is found where there is none. Each search begins where the
        other one ended, since a poor optimum of one would pass for evidence.
        """
        columns = self.space.coding.parameter_of_column == self.space.column(name)
        x = np.where(columns, 0.0, self._fitted.x)
        without = replace(self._fitted, x=x)
        column_of = self.space.coding.parameter_of_column
        errors = self._errors
        other = fit_kernel(without, column_of, start=self.kernel, errors=errors)
        again = fit_kernel(self._fitted, column_of, start=other, errors=errors)
        found = max(log_evidence(kernel, self._fitted, errors) for kernel in (self.kernel, again))
        return found - log_evidence(other, without, errors)

    @property
    def tried(self) -> Floats:
        """The codes of the trials that were seen."""
        return self.seen.codes[np.unique(self.seen.trial)]


def _thinned(seen: Seen, max_epochs: int) -> Seen:
    """Of each trial the first report at or after each mark, and its last."""
    marks = np.unique(np.round(np.geomspace(1, max(max_epochs, 1), MARKS)))
    places = np.searchsorted(marks, seen.epoch, side="right")
    is_first = np.r_[True, (seen.trial[1:] != seen.trial[:-1]) | (places[1:] != places[:-1])]
    is_last = np.r_[seen.trial[1:] != seen.trial[:-1], True]
    return seen.take(np.flatnonzero(is_first | is_last))


def _widening(kernel: Kernel, rows: Rows, known: Floats) -> float:
    """By how much errors exceed what the model says of them, where a trial's last value is foretold from the others.

    The kernel's parameters are those that fit best, and a sweep is not stationary: the model is too sure of itself.
    With the rows' inverse covariance A, those of a trial are foretold with error A_bb^-1 (A y)_b and covariance
    A_bb^-1: Rasmussen and Williams, chapter 5.4.2, for blocks.
    """
    covariance = kernel.between(rows.x, rows.t, rows)
    shared = np.exp(kernel.log_scales[5]) + np.sqrt(np.outer(known, known))
    covariance += (rows.trial[:, None] == rows.trial) * shared
    covariance[np.diag_indices_from(covariance)] += kernel.noise(rows.t) + 1e-6
    inverse = np.linalg.inv(covariance)
    alpha = inverse @ rows.y
    late: list[float] = []
    latest = np.median([rows.t[rows.trial == trial].max() for trial in np.unique(rows.trial)])
    for trial in np.unique(rows.trial):
        block = np.flatnonzero(rows.trial == trial)
        last = int(np.argmax(rows.t[block]))
        if rows.t[block][last] >= latest:
            spread = np.linalg.inv(inverse[np.ix_(block, block)])
            late.append(float(spread[last] @ alpha[block]) ** 2 / max(float(spread[last, last]), 1e-12))
    return float(np.clip(np.sqrt(np.mean(late)), 1.0, WIDEST))


def _levelled(seen: Seen, max_epochs: int) -> Floats:
    """Values less what the median trial had at their epoch, plus what it had at the last one.

    All epochs lie on one scale then. Which curve is taken off is of no matter to the model, which has a term for what
    all trials share at an epoch: early stopping, which leaves the better trials to late epochs, is no harm.
    """
    epochs = np.unique(seen.epoch)
    medians = np.array([np.median(seen.value[seen.epoch == epoch]) for epoch in epochs])
    curve = np.interp(np.log(np.append(seen.epoch, max_epochs)), np.log(epochs), medians)
    return seen.value - curve[:-1] + curve[-1]
