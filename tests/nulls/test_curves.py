"""Curves for trials that were not trained: like the sweep's own, those of stopped trials continued honestly."""

import numpy as np

from ubn_sweep.nulls.curves import Pool, continued


def curves(trials, epochs, rng, *, reverting=0.0):
    """Of trials with a deviation of their own, of which `reverting` goes with each epoch."""
    steps = rng.normal(0, 0.02, (trials, epochs))
    found = np.zeros((trials, epochs))
    found[:, 0] = rng.normal(0, 0.1, trials)
    for epoch in range(1, epochs):
        found[:, epoch] = (1 - reverting) * found[:, epoch - 1] + steps[:, epoch]
    return found + np.linspace(0.4, 0.8, epochs)


def stopped(whole, at, share):
    """All but the best share at an epoch end there."""
    seen = whole.copy()
    limit = np.quantile(whole[:, at - 1], 1 - share)
    seen[whole[:, at - 1] < limit, at:] = np.nan
    return seen


def test_what_was_seen_stays():
    rng = np.random.default_rng(0)
    seen = stopped(curves(40, 6, rng), 2, 1 / 3)
    whole = continued(seen, rng)
    assert np.isfinite(whole).all()
    assert (whole[~np.isnan(seen)] == seen[~np.isnan(seen)]).all()


def test_those_that_were_stopped_end_where_they_would_have():
    """Means and spreads at the end are those of all trials, though only the best third was seen there."""
    rng = np.random.default_rng(1)
    for reverting in (0.0, 0.3):
        errors, ratios, naive = [], [], []
        for _ in range(30):
            whole = curves(60, 6, rng, reverting=reverting)
            seen = stopped(whole, 2, 1 / 3)
            found = continued(seen, rng)[:, -1]
            errors.append(found.mean() - whole[:, -1].mean())
            naive.append(np.nanmean(seen[:, -1]) - whole[:, -1].mean())
            ratios.append(found.std() / whole[:, -1].std())
        assert abs(np.mean(errors)) < 0.01 < 0.7 * np.mean(naive)
        assert 0.8 < np.mean(ratios) < 1.25


def test_drawn_curves_have_the_pools_spread_and_correlations():
    rng = np.random.default_rng(2)
    pool = Pool(curves=curves(80, 5, rng, reverting=0.2))
    drawn = np.array([pool.deviation(int(rng.integers(80)), rng) for _ in range(4000)])
    assert np.allclose(drawn.mean(axis=0), 0, atol=0.01)
    assert np.allclose(np.cov(drawn.T), np.cov(pool.curves.T), rtol=0.15, atol=2e-4)
    assert len(np.unique(drawn[:, 0])) > 2000


def test_an_epoch_that_none_reached_follows_from_the_last_one():
    seen = np.full((10, 4), np.nan)
    seen[:, :2] = curves(10, 2, np.random.default_rng(3))
    whole = continued(seen, np.random.default_rng(3))
    assert np.isfinite(whole).all()
    assert np.abs(whole[:, 3] - whole[:, 1]).max() < 0.5
