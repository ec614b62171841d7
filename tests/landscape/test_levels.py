"""What the threshold's profile is compared with: the gate switched off, and BatchNorm over common settings."""

import dataclasses
import math

import pytest

from tests.support.journals import SPACE, hill, nothing, sweep_events
from ubn_sweep.landscape import recommendation
from ubn_sweep.landscape.figures.profile import PROFILE
from ubn_sweep.landscape.figures.style import styled
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.gates import gates_view, open_near
from ubn_sweep.landscape.views.levels import batch_norm_level
from ubn_sweep.landscape.views.modelled import Modelled
from ubn_sweep.landscape.views.profile import profile_view
from ubn_sweep.records.observations import observations

LAYERS = {
    "norm.name": {"type": "choice", "values": ["ubn", "bn"]},
    "norm.momentum": {"type": "ordered", "values": [0.1, 0.2, 0.3]},
    "training.batch_size": SPACE["training.batch_size"],
}


def view_of(events):
    sweep = read_sweep(observations(events))
    return sweep, profile_view(sweep)


@pytest.fixture(scope="module")
def planted():
    return view_of(sweep_events(60, truth=hill, stops=()))


def test_a_gate_that_pays_is_compared_at_the_chosen_threshold(planted):
    sweep, view = planted
    found = view.gate_off
    assert found.is_told
    assert found.gain_low < 0.12 < found.gain_high
    assert found.low < 0.80 < found.high
    assert found.n == sum(not trial.params["norm.gate"] for trial in sweep.trials)
    said = recommendation.gate_off(sweep, view)
    assert f"with the gate at {view.choice.x:.2g} is expected" in said
    assert " better than the best without (90% interval: " in said


def test_a_gate_that_does_nothing_is_not_said_to_pay():
    sweep, view = view_of(sweep_events(40, truth=nothing, seed=3))
    assert not view.gate_off.is_told
    assert recommendation.gate_off(sweep, view).startswith("Whether the gate pays is not shown: ")


def test_two_trials_without_a_gate_are_no_comparison(planted):
    sweep, view = planted
    few = dataclasses.replace(view, gate_off=dataclasses.replace(view.gate_off, n=2))
    assert "2 trials without it, of 3 that it takes" in recommendation.gate_off(sweep, few)
    none = dataclasses.replace(view, gate_off=None)
    assert "never switched off" in recommendation.gate_off(sweep, none)


def test_gates_open_less_at_higher_thresholds(planted):
    sweep, view = planted
    assert len(view.gates.points) == view.finished
    assert list(view.gates.median) == sorted(view.gates.median, reverse=True)
    assert view.gates.x[0] == pytest.approx(0.05)
    share, n = open_near(sweep, view.gates, 0.7)
    assert share < open_near(sweep, view.gates, 0.1)[0]
    assert n == sum(0.62 <= point.threshold <= 0.78 for point in view.gates.points)
    assert open_near(sweep, view.gates, 9.0) is None
    said = f"About {view.choice.x:.2g} gates are open in {view.open_near[0]:.0%} of batches"
    assert said in PROFILE.finding(sweep, view)


def test_the_figure_has_both_on_one_axis(planted):
    sweep, view = planted
    for draw in (PROFILE.draw, PROFILE.narrow):
        with styled():
            figure = draw(sweep, view)
        above, beneath = figure.axes
        assert above.get_xlim() == beneath.get_xlim()
        assert "gate off, at its best" in [line.get_label() for line in above.lines]
    none = dataclasses.replace(view, gates=gates_view(dataclasses.replace(sweep, trials=())))
    with styled():
        assert len(PROFILE.draw(sweep, none).axes) == 1


def layers(truth, **options):
    return read_sweep(observations(sweep_events(60, truth=truth, space=LAYERS, stops=(), **options)))


def test_layers_are_compared_over_common_settings():
    """Settings matter more than the layer does: only pairs tell it."""

    def truth(params):
        others = 0.1 * math.log2(params["training.batch_size"] / 32) + params["norm.momentum"]
        return 0.4 + 0.5 * others + (0.03 if params["norm.name"] == "ubn" else 0.0)

    sweep = layers(truth)
    found = batch_norm_level(sweep)
    assert 3 <= found.paired.pairs <= 9
    assert found.paired.is_told
    assert found.paired.low < 0.03 < found.paired.high
    assert found.n + found.others == 60


def test_equal_layers_are_told_apart_in_one_of_twenty():
    """95% intervals: more than 5 of 40 happens once in 70 times."""
    told = sum(batch_norm_level(layers(nothing, seed=seed)).paired.is_told for seed in range(40))
    assert told <= 5


def test_without_pairs_nothing_is_compared(planted):
    sweep, view = planted
    assert view.batch_norm.paired is None
    assert recommendation.batch_norm(sweep, dataclasses.replace(view, batch_norm=None)) == (
        "No trial of plain BatchNorm finished: nothing is compared with it."
    )
    few = layers(nothing)
    plain = [trial for trial in few.finished if trial.params["norm.name"] == "bn"][:2]
    others = [trial for trial in few.finished if trial.params["norm.name"] == "ubn"][:9]
    few = dataclasses.replace(few, trials=(*plain, *others))
    level = batch_norm_level(few)
    assert level.paired is None
    assert level.high - level.middle == pytest.approx(level.middle - level.low)
    said = recommendation.batch_norm(few, dataclasses.replace(view, batch_norm=level))
    assert said.startswith("2 finished trials of plain BatchNorm, at ")
    assert said.endswith("as many configs of both would be a comparison, this is none.")


def test_a_model_is_fitted_once(planted):
    sweep, _ = planted
    modelled = Modelled(sweep)
    assert modelled.why_not() is None
    assert modelled.model is modelled.model
    nobody = Modelled(dataclasses.replace(sweep, space={}))
    assert nobody.why_not() == "no parameter was varied"
