"""The model that search and landscape share, read at the last epoch: spaces, scales, inducing points, profiles."""

import math

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from scipy.stats import multivariate_normal

from ubn_sweep.surrogate.declared import DeclaredSpace, declared_space
from ubn_sweep.surrogate.induced import InducedPosterior
from ubn_sweep.surrogate.last_epoch import LastEpochModel, Seen, _levelled, _thinned
from ubn_sweep.surrogate.process import Kernel, Posterior, Rows, TrialErrors, _Objective, _prior
from ubn_sweep.surrogate.profile import profiles
from ubn_sweep.surrogate.scale import Scale
from ubn_sweep.surrogate.thinning import latest_and_others

GATED = {
    "gate": {"type": "choice", "values": [True, False]},
    "threshold": {"type": "float", "low": 0.0, "high": 0.8, "when": {"gate": True}},
    "size": {"type": "ordered", "values": [32, 64, 128]},
    "depth": {"type": "int", "low": 1, "high": 9, "when": {"size": [32, 128], "gate": True}},
    "fixed": {"type": "constant", "value": 3},
}
EPOCHS = 9


def seen_of(space, truth, *, trials=60, seed=0, noise=0.002, error=0.0, scatter=0.0):
    """Random trials of a truth from 0 to 1, a third of them stopped after the third epoch.

    `scatter`: of the first epoch's value; each epoch has half of the one before.
    """
    rng = np.random.default_rng(seed)
    codes = space.points(trials, rng)
    rows = []
    for trial, code in enumerate(codes):
        end = truth(space.coding.params(code)) + noise * rng.normal()
        for epoch in range(1, (3 if trial % 3 == 0 else EPOCHS) + 1):
            off = (0.001 + 2 * scatter * 0.5**epoch) * rng.normal()
            rows.append((trial, epoch, end * (1 - 0.5**epoch) + off))
    content = np.array(rows)
    return Seen(
        codes=codes,
        trial=content[:, 0].astype(np.int64),
        epoch=content[:, 1],
        value=content[:, 2],
        error=np.full(len(content), error),
    )


def test_a_declared_space_keeps_its_conditions():
    space = declared_space(GATED)
    names = space.coding.names
    assert "fixed" not in names
    codes = space.points(256, np.random.default_rng(0))
    for params in map(space.coding.params, codes):
        assert ("threshold" in params) == params["gate"]
        assert ("depth" in params) == (params["gate"] and params["size"] in (0, 2))
    gates = codes[:, names.index("gate")]
    assert 0.4 < gates.mean() < 0.6
    with_threshold = space.points(100, np.random.default_rng(0), with_parameter="threshold")
    assert len(with_threshold) == 100
    assert not np.isnan(with_threshold[:, space.column("threshold")]).any()


def test_a_parameter_that_exists_nowhere_is_refused():
    space = DeclaredSpace(
        distributions={"a": CategoricalDistribution(["x", "y"]), "b": FloatDistribution(0, 1)},
        conditions={"b": {"a": []}},
    )
    with pytest.raises(ValueError, match="must exist somewhere"):
        space.points(4, np.random.default_rng(0), with_parameter="b")


SCALES = (Scale(centre=0.8, unit=0.05, shift=0.3), Scale.between(0.9, 0.8, np.array([0.1, 0.85])))


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_and_its_inverse(scale):
    values = np.linspace(-2, 1, 200)
    np.testing.assert_allclose(scale.back(scale.to(values)), values, atol=1e-9)
    steps = (scale.to(values + 1e-6) - scale.to(values - 1e-6)) / 2e-6
    np.testing.assert_allclose(scale.slope(values), steps, rtol=1e-3)


def test_inducing_points_at_every_row_are_the_whole_process():
    rng = np.random.default_rng(0)
    x, trial = np.repeat(rng.random((12, 2)), 3, axis=0), np.repeat(np.arange(12), 3)
    rows = Rows(x=x, t=np.tile(np.log([1.0, 3.0, 9.0]), 12), trial=trial, y=rng.normal(size=36))
    scales = np.log([1.0, 0.3, 0.5, 0.7, 0.05, 0.1])
    kernel = Kernel(log_weights=np.array([1.0, 0.0]), log_scales=scales, parameter_of_column=np.arange(2))
    asked, target = rng.random((20, 2)), math.log(9)
    at_end = Rows(x=asked, t=np.full(20, target), trial=np.full(20, -1), y=np.zeros(20))
    induced = InducedPosterior(kernel, rows, inducing=rows.and_rows(at_end), known=np.zeros(36))
    whole = Posterior(kernel, rows).mean_and_deviation(asked, target)
    mean, deviation = induced.mean_and_deviation(asked, target)
    np.testing.assert_allclose(mean, whole[0], atol=2e-3)
    np.testing.assert_allclose(deviation, whole[1], atol=2e-3)
    draws = induced.draws(asked, target, 4000, np.random.default_rng(1))
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.06)
    np.testing.assert_allclose(draws.std(axis=0), deviation, rtol=0.08)
    unsure = InducedPosterior(kernel, rows, inducing=rows.and_rows(at_end), known=np.full(36, 1.0))
    assert (unsure.mean_and_deviation(asked, target)[1] > deviation).all()


def test_rows_are_thinned_whatever_they_were_worth():
    space = declared_space({"a": {"type": "float", "low": 0.0, "high": 1.0}})
    seen = seen_of(space, lambda p: p["a"], trials=90)
    thin = _thinned(seen, EPOCHS)
    assert set(thin.epoch) <= {1, 2, 3, 4, 5, 7, 9}
    assert {(t, e) for t, e in zip(thin.trial, thin.epoch, strict=True)} >= {
        (t, seen.epoch[seen.trial == t].max()) for t in range(90)
    }
    few = thin.take(latest_and_others(thin.epoch, 100, np.random.default_rng(0)))
    assert len(few) == 100
    assert (few.epoch == EPOCHS).sum() >= 50
    assert (np.diff(few.trial) >= 0).all()


def test_profiles_find_a_planted_ridge():
    """The best threshold is 0.3 with the other parameter at its best, and low thresholds are the worst on average."""
    space = declared_space(
        {
            "gate": GATED["gate"],
            "threshold": GATED["threshold"],
            "rate": {"type": "float", "low": 0.0, "high": 1.0},
        }
    )

    def truth(p):
        if not p["gate"]:
            return 0.6
        return 0.9 - 0.8 * (p["threshold"] - 0.3) ** 2 - 0.2 * (p["rate"] - 0.7) ** 2

    model = LastEpochModel(space, seen_of(space, truth), max_epochs=EPOCHS)
    found = profiles(model, "threshold")
    # Beyond it, what is worse than twice the median's distance from the best counts as that.
    near = 0.8 * found.places < 0.6
    thresholds = 0.8 * found.places[near]
    best = 0.9 - 0.8 * (thresholds - 0.3) ** 2
    average = best - 0.2 * np.mean((np.linspace(0, 1, 1001) - 0.7) ** 2)
    low, middle, high = np.quantile(found.best, (0.05, 0.5, 0.95), axis=0)[:, near]
    np.testing.assert_allclose(middle, best, atol=0.012)
    assert np.mean((low <= best) & (best <= high)) > 0.6
    np.testing.assert_allclose(np.median(found.average, axis=0)[near], average, atol=0.02)
    assert 0.2 <= thresholds[middle.argmax()] <= 0.4
    assert model.evidence("threshold") > 5
    held = profiles(model, "threshold", restrict={"rate": 0.0})
    np.testing.assert_allclose(np.median(held.best, axis=0)[near], best - 0.2 * 0.49, atol=0.03)


def test_all_epochs_lie_on_one_scale():
    space = declared_space({"a": {"type": "float", "low": 0.0, "high": 1.0}})
    seen = seen_of(space, lambda p: 0.8 + 0.1 * p["a"], trials=30)
    levelled = _levelled(seen, EPOCHS)
    for epoch in (1, 2, EPOCHS):
        assert (
            abs(np.median(levelled[seen.epoch == epoch]) - np.median(seen.value[seen.epoch == EPOCHS])) < 1e-9
        )
    np.testing.assert_allclose(levelled[seen.epoch == EPOCHS], seen.value[seen.epoch == EPOCHS])


def test_the_likelihood_and_its_gradient():
    """With all that LastEpochModel has: known errors of trials, and noise that grows towards the first epoch."""
    rng = np.random.default_rng(3)
    trial, t = np.repeat(np.arange(8), 3), np.tile(np.log([1.0, 3.0, 9.0]), 8)
    rows = Rows(x=np.repeat(rng.random((8, 2)), 3, axis=0), t=t, trial=trial, y=rng.normal(size=24))
    errors = TrialErrors(known=np.repeat(rng.random(8), 3), last=math.log(9), effect=0.03)
    prior = _prior(2, errors)
    objective = _Objective(rows, np.arange(2), prior, errors)
    point = prior[:, 0] + 0.3 * rng.normal(size=len(prior))
    off = 1e-5 * np.eye(len(point))
    slopes = [(objective(point + step)[0] - objective(point - step)[0]) / 2e-5 for step in off]
    np.testing.assert_allclose(objective(point)[1], slopes, rtol=1e-4, atol=1e-5)
    kernel = Kernel(
        log_weights=point[:2],
        log_scales=point[2:8],
        parameter_of_column=np.arange(2),
        growth=float(point[8]),
        last=errors.last,
    )
    covariance = kernel.between(rows.x, rows.t, rows) + np.diag(kernel.noise(rows.t)) + 1e-6 * np.eye(24)
    shared = np.exp(point[7]) + np.sqrt(np.outer(errors.known, errors.known))
    covariance += (trial[:, None] == trial) * shared
    direct = multivariate_normal(np.zeros(24), covariance).logpdf(rows.y) + 12 * math.log(2 * math.pi)
    penalty = 0.5 * np.sum(((point - prior[:, 0]) / prior[:, 1]) ** 2)
    assert objective(point)[0] == pytest.approx(penalty - direct, rel=1e-6)


def test_early_scatter_is_no_influence():
    """Trials scatter at first by ten times what they differ by at the end: none of that is the threshold's doing."""
    space = declared_space({"threshold": {"type": "float", "low": 0.0, "high": 1.0}})
    seen = seen_of(space, lambda p: 0.95 - 0.02 * (p["threshold"] > 0.5), noise=0.004, scatter=0.2)
    model = LastEpochModel(space, seen, max_epochs=EPOCHS)
    assert model.kernel.growth > 1
    found = profiles(model, "threshold", bounds=(0.0, 1.0))
    middle = np.median(found.best, axis=0)
    assert middle[found.places < 0.4].min() > middle[found.places > 0.6].max()
    # One step down, and no ups and downs from trial to trial.
    assert np.abs(np.diff(middle)).sum() < 3 * (middle.max() - middle.min())


def test_scatter_alone_is_no_influence():
    space = declared_space({"threshold": {"type": "float", "low": 0.0, "high": 1.0}})
    told = 0
    for seed in range(6):
        seen = seen_of(space, lambda p: 0.95, noise=0.004, scatter=0.2, trials=40, seed=seed)
        told += LastEpochModel(space, seen, max_epochs=EPOCHS).evidence("threshold") > 5
    assert told == 0
