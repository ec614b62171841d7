"""The curve finds what is there, and finds nothing where there is nothing."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ubn_sweep.landscape.views.curve_fit import CurveFit, TooFew, fit_curve


def scattered(n, truth, noise, seed):
    generator = random.Random(seed)
    x = [generator.uniform(0, 0.8) for _ in range(n)]
    return x, [truth(value) + generator.gauss(0, noise) for value in x]


def hill(x):
    return 0.92 - 0.5 * (x - 0.25) ** 2


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_lies_in_its_range(seed):
    x, y = scattered(40, hill, 0.01, seed)
    fit = fit_curve(x, y, low=0.0, high=0.8, log=False)
    assert isinstance(fit, CurveFit)
    assert fit.shape_is_shown
    assert fit.optimum_low - 0.05 <= 0.25 <= fit.optimum_high + 0.05
    assert fit.noise_std == pytest.approx(0.01, rel=0.6)


def test_the_band_covers_the_truth():
    """Over 25 seeds each, it covered 95% of the places with 12 points, 94% with 30, 93% with 60."""
    inside, total = 0, 0
    for seed in range(100, 108):
        x, y = scattered(12, hill, 0.01, seed)
        fit = fit_curve(x, y, low=0.0, high=0.8, log=False)
        for place, low, high in zip(fit.x, fit.low, fit.high, strict=True):
            inside += low <= hill(place) <= high
            total += 1
    assert inside / total > 0.88


def test_no_shape_is_claimed_of_noise():
    claims = []
    for seed in range(12):
        fit = fit_curve(*scattered(20, lambda x: 0.9, 0.02, seed), low=0.0, high=0.8, log=False)
        claims.append(fit.shape_is_shown)
    assert sum(claims) <= 1


def test_loss_has_its_optimum_below():
    x, y = scattered(40, lambda x: (x - 0.25) ** 2, 0.005, 0)
    fit = fit_curve(x, y, low=0.0, high=0.8, log=False, mode="min")
    assert fit.best_x == pytest.approx(0.25, abs=0.06)


def test_a_log_scale():
    generator = random.Random(0)
    x = [10 ** generator.uniform(-2, 0) for _ in range(40)]
    y = [1 - abs(value - 0.1) ** 0.5 + generator.gauss(0, 0.01) for value in x]
    fit = fit_curve(x, y, low=0.01, high=1.0, log=True)
    assert 0.05 < fit.best_x < 0.2
    assert fit.x[0] == pytest.approx(0.01)


def test_too_few_say_so():
    for n in range(8):
        assert isinstance(fit_curve([0.1 * k for k in range(n)], [0.5] * n, low=0, high=1, log=False), TooFew)
    assert isinstance(fit_curve([0.1] * 20, [0.5] * 20, low=0, high=1, log=False), TooFew)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.8), st.floats(0, 1)), max_size=30))
def test_odd_scores_make_no_error(pairs):
    fit = fit_curve([x for x, _ in pairs], [y for _, y in pairs], low=0.0, high=0.8, log=False)
    if isinstance(fit, CurveFit):
        assert all(low <= high for low, high in zip(fit.low, fit.high, strict=True))
        assert 0 <= fit.optimum_low <= fit.optimum_high <= 0.8 + 1e-9
