"""Several seeds against a promise of one training: how often that is wrong, and what is found."""

import numpy as np
import pytest

from tests.training.builders import tiny_config
from ubn_sweep.export.seeds import other_experiment, seeds_of, seeds_verdict, summary_of
from ubn_sweep.records.metrics import SHARE, Metric
from ubn_sweep.training.provenance import Forecast, Provenance

TOP1 = Metric(name="val_top1", label="validation accuracy", direction="max", unit=SHARE, test="test_top1")


def origin_of(promised, **more):
    known = {"validation_examples": 1000, "candidates": 4, "optimism": 0.0}
    return Provenance(
        task="t", sweep="s", sweep_id="i", trial=0, status="completed", epoch=4, metric="val_top1",
        promised=promised, **(known | more),
    )  # fmt: skip


def families(*, drop, seeds, sweep_seeds, count=200, truth=0.9, noise=0.006, n_val=1000, n_test=2000):
    """Verdicts of families of trainings whose truth lies `drop` below the promise's."""
    dice = np.random.default_rng(seeds * 10 + sweep_seeds)
    found = []
    for _ in range(count):
        images = dice.normal(0, np.sqrt(truth * (1 - truth) / n_val))
        trained = truth + images + dice.normal(0, noise, sweep_seeds)
        spread = float(trained.std(ddof=1)) if sweep_seeds > 1 else None
        origin = origin_of(float(trained.mean()), spread=spread, seeds=sweep_seeds)
        shared = dice.normal(0, np.sqrt(truth * (1 - truth) / n_test))
        tests = truth - drop + shared + dice.normal(0, noise, seeds)
        found.append(seeds_verdict(TOP1, summary_of(tests.tolist()), origin=origin, examples=n_test))
    return found


@pytest.mark.parametrize("sweep_seeds", [1, 3])
@pytest.mark.parametrize("seeds", [2, 5, 20])
def test_a_promise_that_holds_is_seldom_called_broken(seeds, sweep_seeds):
    """At most 5 of 100, though some of twenty trainings often lie below the range of one."""
    found = families(drop=0.0, seeds=seeds, sweep_seeds=sweep_seeds)
    assert np.mean([verdict.kept is False for verdict in found]) <= 0.05
    if seeds == 20:
        assert np.mean([verdict.below > 0 for verdict in found]) > 0.05


def test_a_promise_with_a_forecast_brings_its_own_error():
    """Of a race: the mean of five rounds, with its standard error and their spread."""
    dice, alarms = np.random.default_rng(7), 0
    for _ in range(400):
        rounds = dice.normal(0.9, 0.006, 5)
        std = float(rounds.std(ddof=1))
        forecast = Forecast(
            expected=float(rounds.mean()), mean_error=std / 5**0.5, std=std, freedom=4.0, replicated=True
        )
        tests = 0.9 + dice.normal(0, np.sqrt(0.09 / 2000)) + dice.normal(0, 0.006, 3)
        origin = origin_of(float(rounds.mean()), spread=std, seeds=5, forecast=forecast)
        found = seeds_verdict(TOP1, summary_of(tests.tolist()), origin=origin, examples=2000)
        alarms += found.kept is False
    assert alarms <= 20


def test_a_promise_that_is_far_off_is_found():
    found = families(drop=0.06, seeds=5, sweep_seeds=1)
    assert np.mean([verdict.kept is False for verdict in found]) > 0.9


def test_what_it_says():
    origin = origin_of(0.9, spread=0.005, seeds=3, optimism=0.004)
    kept = seeds_verdict(TOP1, summary_of([0.90, 0.89, 0.895]), origin=origin, examples=2000)
    assert kept.kept
    assert kept.margin < kept.margin_of_all
    assert "3 trainings under the sweep's own protocol, with new seeds: 89.50% on average" in kept.sentence
    assert "none of 3 lie further" in kept.sentence
    assert "corrected for 3 trainings" in kept.sentence
    broken = seeds_verdict(TOP1, summary_of([0.90, 0.7, 0.895]), origin=origin, examples=2000)
    assert (broken.kept, broken.below) == (False, 1)
    assert "the promise was not kept" in broken.sentence
    lost = seeds_verdict(TOP1, summary_of([0.90, 0.89], diverged=1), origin=origin, examples=2000)
    assert (lost.kept, lost.below, lost.n) == (False, 1, 3)
    assert "1 diverged" in lost.sentence


def test_without_a_margin_or_the_same_experiment_nothing_is_claimed():
    summary = summary_of([0.9, 0.8])
    assert seeds_verdict(TOP1, summary, origin=origin_of(0.9), examples=None).kept is None
    other = other_experiment(TOP1, summary, origin_of(0.9))
    assert other.kept is None
    assert "two experiments" in other.sentence


def test_one_bad_seed_of_three_does_not_hide_itself():
    origin = origin_of(0.9, spread=0.005, seeds=3)
    found = seeds_verdict(TOP1, summary_of([0.90, 0.80, 0.895]), origin=origin, examples=2000)
    assert found.kept is False


def test_two_seeds_of_a_sweep_with_one_do_not_tell_a_seed_from_a_broken_promise():
    found = seeds_verdict(TOP1, summary_of([0.90, 0.80]), origin=origin_of(0.9), examples=2000)
    assert found.kept is None
    assert "is not known, with so few" in found.sentence


def test_more_seeds_later_begin_with_the_same():
    config = tiny_config(seed=3)
    five = seeds_of(config, 5)
    assert five[:2] == seeds_of(config, 2)
    assert five[0] == 3
    assert len(set(five)) == 5
