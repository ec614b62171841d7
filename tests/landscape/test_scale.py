"""What keeps a landscape of ten thousand trials small: short lists in its JSON, and fits by place."""

import json
import random

import pytest

from tests.landscape.test_legible import events, many, quick  # noqa: F401 - fixtures
from tests.support.journals import sweep_events
from ubn_sweep.landscape import json_file
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.json_file import numbers_text
from ubn_sweep.landscape.views import curve_fit
from ubn_sweep.landscape.views.curve_fit import fit_curve
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.observations import observations
from ubn_sweep.tracking.mlflow.answer import answer_of


def test_a_small_sweep_is_told_whole():
    landscape = analyse(observations(sweep_events(12)))
    content = json.loads(numbers_text(vars(landscape), epochs=landscape.course.epochs_spent))
    assert content["left_out"] == {}
    for told, trial in zip(content["sweep"]["trials"], landscape.sweep.trials, strict=True):
        assert told["curve"] == {str(epoch): score for epoch, score in trial.curve.items()}
        assert told["config"]["training.batch_size"] == trial.config["training.batch_size"]
    assert content["ranking"]["trials"][0]["trial"]["number"] == landscape.ranking.trials[0].trial.number


def test_a_large_one_leaves_to_the_table_what_is_too_much(many):  # noqa: F811
    text = numbers_text(vars(many), epochs=json_file.MOST_EPOCHS + 1)
    assert len(text) < json_file.MOST_BYTES
    content = json.loads(text)
    trials = content["sweep"]["trials"]
    assert (len(trials), content["left_out"]["sweep.trials"]) == (2000, 500)
    assert trials[0]["number"] == 0
    assert trials[-1]["number"] == 2499
    assert not set(trials[0]) & set(json_file.IN_TABLE_ALONE)
    assert trials[0]["curve"] == {"2": many.sweep.trials[0].score}
    best = [row["trial"]["number"] for row in content["ranking"]["trials"]]
    assert best == [row.trial.number for row in many.ranking.trials[:2000]]
    points = content["threshold"]["full"]["points"]
    left_out = content["left_out"].get("threshold.full.points", 0)
    assert len(points) + left_out == len(many.threshold.full.points)


def test_mlflow_is_told_the_best_of_a_large_one_too(many, tmp_path):  # noqa: F811
    folder = SweepFolder(home=tmp_path, name="large")
    folder.path.mkdir()
    content = {"summary": ["It is large."], **vars(many)}
    folder.numbers.write_text(numbers_text(content, epochs=json_file.MOST_EPOCHS + 1))
    answer = answer_of(folder)
    assert "- It is large." in answer
    best = many.ranking.trials[0].trial
    assert f"| {best.number} | {100 * best.score:.2f}% |" in answer


def test_lists_are_shortened_until_it_fits(many, monkeypatch):  # noqa: F811
    monkeypatch.setattr(json_file, "MOST_BYTES", 300_000)
    text = numbers_text(vars(many), epochs=json_file.MOST_EPOCHS + 1)
    assert len(text) < 300_000
    assert len(json.loads(text)["sweep"]["trials"]) in (20, 100, 500)


@pytest.mark.parametrize("height", [0.0, 0.1])
def test_a_fit_by_place_is_that_of_all_trials(monkeypatch, height):
    generator = random.Random(3)
    x = [generator.uniform(0, 0.8) for _ in range(700)]
    y = [0.9 - height * (value - 0.25) ** 2 + generator.gauss(0, 0.02) for value in x]
    by_place = fit_curve(x, y, low=0.0, high=0.8, log=False)
    monkeypatch.setattr(curve_fit, "MOST_PLACES", 1000)
    whole = fit_curve(x, y, low=0.0, high=0.8, log=False)
    assert by_place.n == whole.n == 700
    assert by_place.flat_probability == pytest.approx(whole.flat_probability, rel=0.02)
    assert by_place.noise_std == pytest.approx(whole.noise_std, rel=1e-3)
    for name in ("mean", "low", "high"):
        assert getattr(by_place, name) == pytest.approx(getattr(whole, name), abs=5e-4)
