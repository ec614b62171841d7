"""The threshold's profiles at the full budget: what is planted is found, what is not is not claimed."""

import dataclasses

import numpy as np
import pytest

from tests.support.journals import SPACE, hill, nothing, sweep_events
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.recommendation import profile
from ubn_sweep.landscape.views.profile import not_ruled_out, profile_view
from ubn_sweep.landscape.views.seen import seen_of, space_of
from ubn_sweep.records.observations import observations


def view_of(events):
    sweep = read_sweep(observations(events))
    return sweep, profile_view(sweep)


@pytest.fixture(scope="module")
def planted():
    return view_of(sweep_events(50, truth=hill))


def test_the_planted_optimum_is_among_those_not_ruled_out(planted):
    sweep, view = planted
    assert view.has_shape
    assert any(low <= 0.2 <= high for low, high in view.open)
    assert all(high < 0.6 for _, high in view.open)
    assert abs(view.choice.x - 0.2) < 0.16
    assert view.choice.low < 0.92 < view.choice.high + 0.01
    assert 0 <= view.choice.loss <= view.choice.most_loss
    text = profile(sweep, view)
    assert text.startswith("Set the threshold between ")
    assert "are ruled out at 90% but for" in text
    assert "that costs" in text


def test_both_profiles_fall_beyond_it(planted):
    _, view = planted
    for band in (view.best, view.average):
        assert band.middle[4] - band.middle[-1] > 0.03
        assert all(
            low <= middle <= high for low, middle, high in zip(band.low, band.middle, band.high, strict=True)
        )
    assert np.mean(view.best.middle) > np.mean(view.average.middle)


def test_nothing_is_said_of_nothing():
    sweep, view = view_of(sweep_events(40, truth=nothing, seed=2))
    assert not view.has_shape
    assert profile(sweep, view).startswith(
        "No threshold between 0 and 0.8 can be told from another at the full budget"
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"trials": 8}, "of 12 trials"),
        ({"trials": 30, "statuses": dict.fromkeys(range(30), "diverged")}, "of 12 trials"),
        ({"trials": 30, "space": {"norm.momentum": SPACE["norm.momentum"]}}, "no range"),
    ],
)
def test_too_little_is_named(options, reason):
    sweep, view = view_of(sweep_events(**options))
    assert reason in view.reason
    assert profile(sweep, view) == ""


def test_losses_are_turned():
    events = sweep_events(40, truth=hill, metric="val_loss")
    sweep, view = view_of(events)
    assert view.best.middle[-1] > view.best.middle[4]
    assert all(low <= high for low, high in zip(view.best.low, view.best.high, strict=True))
    assert (seen_of(sweep, space_of(sweep)).error == 0).all()


def nearly_perfect(params):
    """A hill whose top is all but 100%, so that what the model expects beyond it would exceed it."""
    return min(hill(params) + 0.077, 0.998)


def test_no_share_is_expected_outside_0_and_1():
    _, view = view_of(sweep_events(40, truth=nearly_perfect, noise=0.001))
    for band in (view.best, view.average):
        assert all(0 <= low <= high <= 1 for low, high in zip(band.low, band.high, strict=True))
        assert all(0 <= middle <= 1 for middle in band.middle)
    assert view.choice.low <= view.choice.score <= view.choice.high <= 1


def test_trials_are_coded_as_the_spec_has_them():
    sweep = read_sweep(observations(sweep_events(30, truth=hill, statuses={3: "diverged", 4: "failed"})))
    space = space_of(sweep)
    seen = seen_of(sweep, space)
    trials = [t for t in sweep.trials if t.curve or t.status == "diverged"]
    for code, trial in zip(seen.codes, trials, strict=True):
        params = space.coding.params(code)
        assert set(params) == set(trial.params)
        if "norm.threshold" in params:
            assert params["norm.threshold"] == pytest.approx(trial.params["norm.threshold"])
        scaling = params["norm.scaling"]
        assert (scaling if scaling is not None else "none") == trial.params["norm.scaling"]
        assert (
            SPACE["training.batch_size"]["values"][params["training.batch_size"]]
            == (trial.params["training.batch_size"])
        )
    place = next(i for i, t in enumerate(trials) if t.number == 3)
    ended = seen.take(np.flatnonzero(seen.trial == place))
    assert ended.epoch[-1] == sweep.max_epochs
    assert ended.value[-1] == min(t.last_score for t in trials if t.curve)


def test_a_margin_keeps_what_differs_in_nothing():
    draws = np.array([[0.90, 0.899, 0.5], [0.901, 0.90, 0.6]] * 50)
    assert not_ruled_out(draws, margin=0.002).tolist() == [True, True, False]
    assert not_ruled_out(draws, margin=0.0).tolist() == [True, False, False]


def test_a_running_sweep_is_mapped_too():
    events = sweep_events(40, truth=hill, statuses=dict.fromkeys(range(35, 40), "running"), ended=False)
    sweep, view = view_of(events)
    assert view.reason is None
    assert dataclasses.asdict(view)["finished"] == len(
        [t for t in sweep.finished if "norm.threshold" in t.params]
    )
