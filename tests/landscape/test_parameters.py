"""The swept numbers against the score."""

import pytest

from tests.support.journals import SPACE, nothing, sweep_events
from ubn_sweep.landscape.figures.parameters import PARAMETERS
from ubn_sweep.landscape.figures.style import styled
from ubn_sweep.landscape.figures.svg import as_png
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.parameters import parameters_view
from ubn_sweep.records.observations import observations

MANY = {
    "optimizer.rate": {"type": "float", "low": 1e-5, "high": 0.3, "log": True},
    "optimizer.momentum": {"type": "float", "low": 0.5, "high": 0.99},
    "norm.momentum": SPACE["norm.momentum"],
    "training.batch_size": SPACE["training.batch_size"],
    "model.depth": {"type": "int", "low": 2, "high": 9},
    "model.a_name_too_long_for_a_narrow_panel": {"type": "int", "low": 16, "high": 1024, "log": True},
    "own.dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
    "own.decay": {"type": "float", "low": 0.03, "high": 0.06, "log": True},
    "own.offset": {"type": "float", "low": -1000.0, "high": 250_000.0},
    "own.kernel": {"type": "ordered", "values": [1, 2, 3, 5, 8, 13, 21]},
    "own.tiny": {"type": "float", "low": 1e-9, "high": 1e-8, "log": True},
    "own.flag": {"type": "int", "low": 0, "high": 1},
}


def seen(space, trials=30, **options):
    sweep = read_sweep(observations(sweep_events(trials, space=space, **options)))
    return sweep, parameters_view(sweep)


def view_of(space, trials=30):
    return seen(space, trials)[1]


def test_numbers_alone_and_each_once():
    """The threshold and the task's choices have figures of their own; words are no numbers."""
    keys = [parameter.key for parameter in view_of(SPACE, 60).parameters]
    assert keys == ["norm.similarity_momentum", "norm.momentum", "training.batch_size"]
    words = {"own.size": {"type": "ordered", "values": ["small", "large"]}}
    switches = {"own.switch": {"type": "ordered", "values": [False, True]}}
    assert not view_of(words | switches).parameters


def test_what_did_not_vary_is_left_out():
    fixed = {"own.fixed": {"type": "float", "low": 0.5, "high": 0.5}}
    assert not view_of(fixed).parameters
    assert not view_of(MANY, 1).parameters
    assert not view_of(MANY, 0).parameters


def test_finished_trials_above_and_all_at_the_common_epoch_below():
    sweep, view = seen(SPACE, 60)
    finished = {trial.number for trial in sweep.finished}
    for parameter in view.parameters:
        active = {trial.number for trial in sweep.trials if parameter.key in trial.params}
        assert {point.trial for point in parameter.full} == finished & active
        assert {point.trial for point in parameter.early} == active
        for point in parameter.early:
            trial = sweep.trials[point.trial]
            assert point.score == trial.curve[view.early_epoch]
            assert point.value == trial.params[parameter.key]
            assert point.is_finished == (point.trial in finished)
        assert all(point.score == sweep.trials[point.trial].curve[9] for point in parameter.full)


def test_values_lie_at_places_where_there_are_few():
    found = {parameter.key: parameter for parameter in view_of(MANY, 40).parameters}
    assert found["training.batch_size"].places == (32, 64, 128)
    assert found["model.depth"].places == tuple(range(2, 10))
    assert found["own.flag"].places == (0, 1)
    assert found["own.dropout"].places == ()
    assert {key for key, parameter in found.items() if parameter.log} == {
        key for key, item in MANY.items() if item.get("log")
    }


def test_equal_titles_are_told_apart():
    titles = [parameter.title for parameter in view_of(MANY).parameters]
    assert titles[:3] == ["rate", "optimizer.momentum", "norm.momentum"]


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9, 12])
def test_any_number_of_parameters(count):
    sweep, view = seen(dict(list(MANY.items())[:count]), truth=nothing)
    with styled():
        figure = PARAMETERS.draw(sweep, view)
        assert len(as_png(figure)) > 4000
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 2 * count
    assert [axes.get_xscale() == "log" for axes in shown if axes.get_title(loc="left")] == [
        bool(item.get("log")) for item in list(MANY.values())[:count]
    ]
    how, finding = PARAMETERS.how(sweep, view), PARAMETERS.finding(sweep, view)
    for parameter in view.parameters:
        assert f"{parameter.title} {len(parameter.full)} / {len(parameter.early)}" in how
        assert parameter.title in finding


def test_without_an_early_epoch_one_row_says_it_all():
    sweep, view = seen({"norm.momentum": SPACE["norm.momentum"]}, epochs=1, truth=nothing)
    assert view.early_epoch is None
    with styled():
        (axes,) = PARAMETERS.draw(sweep, view).axes
    assert axes.get_ylabel().endswith("after epoch 1")
    assert "n: momentum 30." in PARAMETERS.how(sweep, view)
    assert "below" not in PARAMETERS.how(sweep, view)


def test_marks_are_hollow_where_a_trial_has_not_finished():
    sweep, view = seen({"norm.momentum": SPACE["norm.momentum"]}, truth=nothing)
    parameter = view.parameters[0]
    with styled():
        _, below = PARAMETERS.draw(sweep, view).axes
    hollow, filled = below.collections
    assert len(hollow.get_facecolor()) == 0
    assert len(hollow.get_offsets()) == sum(not point.is_finished for point in parameter.early) > 0
    assert len(filled.get_offsets()) == sum(point.is_finished for point in parameter.early) > 0
