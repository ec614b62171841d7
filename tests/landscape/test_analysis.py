"""The numbers, on sweeps whose truth is known."""

import dataclasses
import math

import pytest

from tests.support.journals import SPACE, hill, nothing, sweep_events
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views import importance
from ubn_sweep.landscape.views.curve_fit import CurveFit, TooFew
from ubn_sweep.landscape.views.importance import importance_view
from ubn_sweep.landscape.views.numbers import expected_maximum, group_mean, welch_difference
from ubn_sweep.landscape.words import summary
from ubn_sweep.records.events import EpochReported
from ubn_sweep.records.observations import observations


@pytest.fixture(scope="module")
def hilly():
    return analyse(observations(sweep_events(100, truth=hill)))


@pytest.fixture(scope="module")
def flat():
    return analyse(observations(sweep_events(60, truth=nothing)))


def test_finished_and_stopped_are_kept_apart(hilly):
    statuses = {trial.number: trial.status for trial in hilly.sweep.trials}
    assert {statuses[p.trial] for p in hilly.threshold.full.points} == {"completed"}
    assert {statuses[p.trial] for p in hilly.threshold.stopped} == {"stopped"}
    assert all(p.epoch == 9 for p in hilly.threshold.full.points)
    assert all(p.epoch < 9 for p in hilly.threshold.stopped)
    assert {row.trial.status for row in hilly.ranking.trials} == {"completed"}


def test_early_scores_are_all_of_one_epoch(hilly):
    early = hilly.threshold.early
    for point in early.points:
        assert point.score == hilly.sweep.trials[point.trial].curve[early.epoch]
    assert len(early.points) + len(early.gate_off) == 100


def test_the_threshold_is_found(hilly):
    fit = hilly.threshold.early.fit
    assert isinstance(fit, CurveFit)
    assert fit.shape_is_shown
    assert fit.optimum_low <= 0.2 <= fit.optimum_high


def test_what_mattered_is_found(hilly):
    shown = {row.key for row in hilly.importance.parameters if row.is_shown}
    assert "norm.threshold" in shown
    assert shown <= {"norm.threshold", "norm.gate"}


def test_conditional_parameters_count_where_they_are_active(hilly):
    gated = sum("norm.threshold" in trial.params for trial in hilly.sweep.trials)
    rows = {row.key: row for row in hilly.importance.parameters}
    assert rows["norm.threshold"].n == gated < rows["norm.momentum"].n == 100


def test_nothing_is_claimed_of_nothing(flat):
    assert not any(row.is_shown for row in flat.importance.parameters)
    for curve in (flat.threshold.full, flat.threshold.early):
        assert isinstance(curve.fit, TooFew) or not curve.fit.shape_is_shown
    assert "can be told from another" in " ".join(summary(flat))


@pytest.mark.slow
def test_no_influence_is_named_more_often_than_chance(monkeypatch):
    monkeypatch.setattr(importance, "SHUFFLES", 100)
    named = 0
    for seed in range(8):
        sweep = read_sweep(observations(sweep_events(32, truth=nothing, seed=seed)))
        named += any(row.is_shown for row in importance_view(sweep).parameters)
    assert named <= 2  # 5% each: more than 2 of 8 happens once in 170 times


def test_equal_trials_are_tied():
    space = {"norm.momentum": SPACE["norm.momentum"]}
    tied = analyse(observations(sweep_events(12, truth=nothing, noise=0.001, stops=(), space=space)))
    assert tied.ranking.tied == 12
    assert tied.ranking.optimism > 0


def test_a_clear_winner_is_told():
    space = {"norm.centering": SPACE["norm.centering"]}
    view = analyse(
        observations(
            sweep_events(8, truth=lambda p: 0.95 if p["norm.centering"] else 0.5, stops=(), space=space)
        )
    )
    best = [row for row in view.ranking.trials if row.tied]
    assert all(row.trial.params["norm.centering"] for row in best)
    assert view.ranking.tied == sum(trial.params["norm.centering"] for trial in view.sweep.trials)


def test_the_course_adds_up(hilly):
    course = hilly.course
    assert sum(course.counts.values()) == 100
    assert course.epochs_spent == sum(trial.last_epoch for trial in hilly.sweep.trials)
    scores = [best.score for best in course.best_so_far]
    assert scores == sorted(scores)
    assert scores[-1] == hilly.ranking.trials[0].trial.score


def test_a_loss_is_minimised():
    view = analyse(observations(sweep_events(40, metric="val_loss")))
    scores = [row.trial.score for row in view.ranking.trials]
    assert scores == sorted(scores)
    assert view.ranking.tied is None
    assert view.ranking.trials[0].behind == 0
    assert "not recorded" in " ".join(summary(view))


def test_condensation_by_layer(hilly):
    similarity, gates = hilly.condensation.layers
    assert similarity.layers[0] == "stem"
    assert len(similarity.values) == len(similarity.trials) == 8
    assert gates.measure == "gate_open"
    assert all(0 <= value <= 1 for row in gates.values for value in row)


@pytest.mark.parametrize("count", range(4))
def test_few_trials(count):
    view = analyse(observations(sweep_events(count, stops=())))
    assert isinstance(view.threshold.full.fit, TooFew)
    assert view.importance.reason is not None
    assert all(isinstance(sentence, str) for sentence in summary(view))


def test_all_of_it_is_data(hilly):
    content = dataclasses.asdict(hilly)
    assert content["threshold"]["full"]["points"]


def test_the_validation_images_are_counted_or_else_estimated():
    events = sweep_events(8, truth=hill)
    told = [
        dataclasses.replace(event, metrics={**event.metrics, "val_examples": 361.0})
        if isinstance(event, EpochReported)
        else event
        for event in events
    ]
    estimated, counted = analyse(observations(events)), analyse(observations(told))
    assert (estimated.sweep.validation_examples, estimated.sweep.validation_counted) == (359, False)
    assert (counted.sweep.validation_examples, counted.sweep.validation_counted) == (361, True)
    assert "of about 359 validation images" in estimated.ranking.error_from
    assert "of 361 validation images" in counted.ranking.error_from


def test_small_statistics():
    assert group_mean([]) is None
    assert group_mean([0.5]).std is None
    assert group_mean([0.1, 0.2]).low is None
    assert group_mean([0.1, 0.2, 0.3]).mean == pytest.approx(0.2)
    difference, half = welch_difference([1.0, 1.1, 0.9], [0.0, 0.1, -0.1])
    assert difference == pytest.approx(1.0)
    assert half == pytest.approx(2.776 * math.sqrt(2 * 0.01 / 3), rel=1e-3)
    assert welch_difference([1.0], [0.0, 0.1, 0.2]) is None
    assert expected_maximum(1) == 0.0
    assert expected_maximum(10) == pytest.approx(1.54, abs=0.01)
