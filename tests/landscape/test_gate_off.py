"""The gate on against the gate off, whatever the shape of the threshold's curve."""

import dataclasses

import pytest

from tests.support.journals import hill, nothing, sweep_events
from ubn_sweep.landscape.phrases import interval
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views import threshold as view
from ubn_sweep.landscape.views.curve_fit import TooFew
from ubn_sweep.landscape.views.numbers import Difference
from ubn_sweep.landscape.views.threshold import threshold_view
from ubn_sweep.landscape.words import gate_off, threshold
from ubn_sweep.records.observations import observations


def mapped(trials=60, **options):
    sweep = read_sweep(observations(sweep_events(trials, **options)))
    return sweep, threshold_view(sweep)


@pytest.fixture
def no_curve(monkeypatch):
    """Curves take most of the time, and what they say is tested elsewhere."""
    monkeypatch.setattr(view, "fit_curve", lambda x, y, **options: TooFew(n=len(x), reason="not asked"))


def test_without_a_shape_the_gate_is_compared_all_the_same():
    sweep, found = mapped(truth=nothing)
    early = found.early
    assert (early.gain.n, early.gain.n_other) == (len(early.points), len(early.gate_off))
    assert not early.gain_in_range
    said = threshold(sweep, found)
    assert "can be told from another" in said
    assert f"n = {early.gain.n} and {early.gain.n_other}), which chance explains." in said
    assert "Too few" not in said


def test_a_gate_that_pays_is_said_to_pay(no_curve):
    sweep, found = mapped(truth=lambda params: 0.9 if params["norm.gate"] else 0.8)
    assert found.early.gain.is_shown
    assert found.early.gain.better > 0
    assert "points better on average" in gate_off(sweep, found.early)
    assert "chance" not in gate_off(sweep, found.early)


def test_with_a_shape_the_range_is_compared():
    sweep, found = mapped(100, truth=hill)
    assert found.early.gain_in_range
    assert found.early.gain.n < len(found.early.points)
    assert "The trials in that range score" in threshold(sweep, found)


@pytest.mark.parametrize("off", range(4))
def test_three_on_each_side_are_enough(no_curve, off):
    """Two of a kind have no interval worth the name; three have a wide one."""
    events = sweep_events(40, truth=nothing, stops=())
    gates = [event.params["norm.gate"] for event in events if hasattr(event, "params")]
    kept = set([number for number, on in enumerate(gates) if not on][:off])
    kept |= {number for number, on in enumerate(gates) if on}
    sweep = read_sweep(observations(events))
    sweep = dataclasses.replace(sweep, trials=tuple(trial for trial in sweep.trials if trial.number in kept))
    curve = threshold_view(sweep).full
    said = gate_off(sweep, curve)
    assert (curve.gain is None) == (off < 3)
    if off == 0:
        assert said == "No trial with the gate off came that far."
    else:
        assert said.startswith("Too few trials" if off < 3 else "Trials with the gate on score")


def test_where_none_without_a_gate_finished_the_early_epoch_tells():
    """Early stopping ended them all: what they scored before it says the most."""
    sweep, found = mapped(40, truth=lambda params: 0.9 if params["norm.gate"] else 0.5)
    full = dataclasses.replace(found.full, gate_off=(), gain=None)
    said = threshold(sweep, dataclasses.replace(found, full=full))
    assert f"points better on average than those with it off (epoch {found.early.epoch}, " in said


def test_a_loss_is_better_where_it_is_less(no_curve):
    sweep, found = mapped(truth=lambda params: 0.9 if params["norm.gate"] else 0.8, metric="val_loss")
    assert found.early.gain.better > 0
    assert "better on average" in gate_off(sweep, found.early)


def test_of_nothing_little_is_claimed(no_curve):
    """5% each, were they independent: more than 6 of 60 comparisons happens once in 30 times."""
    claims = 0
    for seed in range(60):
        _, found = mapped(40, truth=nothing, seed=seed)
        claims += found.early.gain.is_shown
    assert claims <= 6


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.03, "1.00 to 3.00 points better"),
        (-0.03, -0.01, "1.00 to 3.00 points worse"),
        (-0.01, 0.03, "1.00 worse to 3.00 points better"),
    ],
)
def test_intervals_name_their_side(low, high, words):
    sweep = read_sweep(observations(sweep_events(1)))
    found = Difference(n=3, n_other=3, better=(low + high) / 2, low=low, high=high)
    assert interval(sweep, found) == words
