"""Landscapes from Python: figures as tables, and as files."""

import math

import pytest

from tests.support.journals import hill, sweep_events, write_sweep
from ubn_sweep import Landscape
from ubn_sweep.errors import UserError
from ubn_sweep.records.observations import observations_of, write_table

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    folder = write_sweep(home, sweep_events(24, truth=hill))
    write_table(observations_of(folder.path), folder.observations)
    return home


@pytest.fixture(scope="module")
def landscape(home):
    return Landscape.of("made-up", home=home)


def test_a_figures_numbers_are_tables(landscape):
    threshold, view = landscape.figure("threshold"), landscape.numbers.threshold
    points = threshold.parts["full.points"]
    assert list(points["trial"]) == [point.trial for point in view.full.points]
    assert list(points["score"]) == [point.score for point in view.full.points]
    curve = threshold.parts["early.fit.curve"]
    assert list(curve["x"]) == list(view.early.fit.x)
    assert list(curve["low"]) == list(view.early.fit.low)
    data = threshold.data
    assert set(data["part"]) == set(threshold.parts)
    assert len(data) == sum(map(len, threshold.parts.values()))


def test_nested_lists_keep_what_they_lie_in(landscape):
    figure = landscape.figure("rectifiers")
    groups = figure.parts["choices.groups"]
    view = landscape.figures["rectifiers"]._view
    assert list(groups["key"]) == [choice.key for choice in view.choices for _ in choice.groups]
    scores = figure.parts["choices.groups.early"]
    mine = scores[
        (scores["key"] == view.choices[0].key) & (scores["value"] == view.choices[0].groups[0].value)
    ]
    assert list(mine["early"]) == list(view.choices[0].groups[0].early)
    assert list(mine["early_trials"]) == list(view.choices[0].groups[0].early_trials)


def test_every_figure_has_numbers_and_a_drawing(landscape, tmp_path):
    for name, figure in landscape.figures.items():
        assert len(figure.data) > 0, name
        assert figure.finding
        assert figure.how
    svg = landscape.figure("course").save(tmp_path / "new" / "course.svg")
    assert "<svg" in svg.read_text()
    with pytest.raises(UserError, match=r"is saved as .svg, .png, .pdf, but got `.jpg`"):
        landscape.figure("course").save(tmp_path / "course.jpg")


def test_tables_and_sentences(landscape, home):
    assert landscape.trials["trial"].tolist() == list(range(24))
    assert landscape.trials["epoch"].tolist() == [
        trial.last_epoch for trial in landscape.numbers.sweep.trials
    ]
    assert len(landscape.observations) == landscape.numbers.course.epochs_spent
    assert any("24 trials" in sentence for sentence in landscape.summary)
    same = Landscape.from_table(home / "made-up" / "observations.parquet")
    assert same.observations.equals(landscape.observations)
    assert repr(same) == "Landscape(made-up)"
    assert math.isfinite(landscape.numbers.ranking.trials[0].trial.score)


def test_mistakes_are_told(landscape, tmp_path):
    with pytest.raises(
        UserError, match=r"there is no figure `treshold` of these trials; there are .*threshold"
    ):
        landscape.figure("treshold")
    with pytest.raises(UserError, match="is no table of observations"):
        Landscape.from_table(tmp_path / "none.parquet")
    with pytest.raises(UserError, match="name a sweep"):
        Landscape.of()
