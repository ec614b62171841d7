"""The cost preview against sweeps whose cost is known."""

import pytest

from ubn_sweep.sweep.explaining.preview import Curve, expected_cost


def test_without_early_stopping_the_cost_is_exact(small_spec):
    cost = expected_cost(small_spec(early_stopping=None), workers=2, epoch_s=36.0, replays=5)
    assert (cost.epochs.low, cost.epochs.mean, cost.epochs.high) == (90, 90, 90)
    assert cost.trial_hours.mean == pytest.approx(0.9)
    assert cost.wall_hours.mean == pytest.approx(0.45)
    assert cost.completed.mean == 10
    assert cost.gpu_hours is None


def test_ever_better_trials_are_never_stopped_and_ever_worse_ones_always(small_spec):
    # One worker sees the curves in the order drawn; with one curve all tie, and ties go on.
    spec = small_spec(search={"trials": 20, "sampler": "random"})
    same = [Curve(scores=tuple(e / 10 for e in range(1, 10)), epoch_s=1.0, complete=True)]
    assert expected_cost(spec, workers=1, curves=same, replays=3).epochs.mean == 20 * 9


def test_early_stopping_saves_epochs_and_the_spread_is_told(small_spec):
    spec = small_spec(search={"trials": 60, "sampler": "random"}, resources={"gpus_per_worker": 0.5})
    cost = expected_cost(spec, workers=4, epoch_s=3600.0, replays=50)
    assert cost.basis == "model"
    assert 60 < cost.epochs.low < cost.epochs.mean < cost.epochs.high < cost.epochs_without_stopping == 540
    assert cost.gpu_hours.mean == pytest.approx(cost.trial_hours.mean / 2)
    assert cost.trial_hours.mean == pytest.approx(cost.epochs.mean)
    assert cost.wall_hours.mean >= cost.trial_hours.mean / 4


def test_it_learns_from_curves_and_their_seconds(small_spec):
    complete = Curve(scores=tuple(0.5 + e / 100 for e in range(9)), epoch_s=2.0, complete=True)
    stopped = Curve(scores=(0.1,), epoch_s=4.0, complete=False)
    cost = expected_cost(small_spec(), workers=2, curves=[complete, stopped], replays=40)
    assert (cost.basis, cost.curves) == ("curves", 2)
    assert 2.0 < cost.trial_hours.mean * 3600 / cost.epochs.mean < 4.0


def test_curves_without_a_complete_one_are_not_enough(small_spec):
    stopped = Curve(scores=(0.1,), epoch_s=4.0, complete=False)
    cost = expected_cost(small_spec(), workers=2, curves=[stopped], replays=3)
    assert (cost.basis, cost.trial_hours) == ("model", None)
