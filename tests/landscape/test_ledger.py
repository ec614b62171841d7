"""What scores vary by: planted spreads are found, what was not measured is said not to be known."""

import dataclasses
import random

import numpy as np
import pytest

from tests.support.journals import SPACE, nothing, sweep_events
from ubn_sweep.landscape.figures.ledger import LEDGER
from ubn_sweep.landscape.figures.style import styled
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.ledger import ledger_view
from ubn_sweep.records.observations import observations

ONE_SEED = {key: SPACE[key] for key in ("norm.momentum", "norm.scaling")}


def truth(params):
    """0.80, 0.83 and 0.86: a spread of 0.03 or less between configs."""
    return 0.80 + 0.03 * ["representative", "instance", None].index(params["norm.scaling"])


def finished(space, *, noise, truth=truth, trials=40, examples=100_000):
    sweep = read_sweep(observations(sweep_events(trials, truth=truth, noise=noise, space=space, stops=())))
    return dataclasses.replace(sweep, validation_examples=examples, validation_counted=True)


def by_name(view):
    return {entry.name: entry for entry in view.entries}


def replicated(noise, difference=0.03):
    """Three configs with forty seeds in all: the journals' made-up trials with the params' own seeds left out."""
    sweep = finished({"norm.scaling": SPACE["norm.scaling"]}, noise=0.0, truth=nothing)
    generator = random.Random(0)
    trials = []
    for trial in sweep.trials:
        place = ["representative", "instance", "none"].index(trial.params["norm.scaling"])
        score = 0.80 + difference * place + generator.gauss(0, noise)
        trials.append(dataclasses.replace(trial, curve={trial.last_epoch: score}))
    return dataclasses.replace(sweep, trials=tuple(trials))


def test_replicates_tell_the_seeds_spread_and_the_configs():
    found = by_name(ledger_view(replicated(0.01), {}))
    assert found["seed"].std == pytest.approx(0.01, rel=0.3)
    assert found["config"].std == pytest.approx(0.0245, rel=0.25)
    assert found["seed"].how == "3 configs trained with 40 seeds"
    assert sum(entry.share for entry in found.values() if entry.share is not None) == pytest.approx(1)


def test_with_one_seed_each_it_is_not_known():
    sweep = finished(ONE_SEED, noise=0.01)
    view = ledger_view(sweep, {})
    found = by_name(view)
    assert found["seed"].std is None
    assert "config, and seed with it" in found
    said = LEDGER.finding(sweep, view)
    assert "Not known: seed and split." in said
    assert said.endswith("is not known: no config was trained with two seeds.")


def test_repeats_count_by_their_spread():
    sweep = dataclasses.replace(finished(ONE_SEED, noise=0.01), repeats=4)
    trials = tuple(dataclasses.replace(trial, repeat_std=0.02) for trial in sweep.trials)
    found = by_name(ledger_view(dataclasses.replace(sweep, trials=trials), {}))
    assert found["seed"].std == pytest.approx(0.02)
    assert found["seed"].how == "4 repeats of 40 configs"


def test_seeds_needed_follow_from_difference_and_spread():
    view = ledger_view(replicated(0.01), {})
    needed = view.needed
    scores = {trial.number: trial.score for trial in replicated(0.01).trials}
    assert needed.difference == pytest.approx(abs(scores[needed.first] - scores[needed.second]))
    seed = by_name(view)["seed"].std
    by_hand = 2 * (2.8 * seed / needed.difference) ** 2
    assert by_hand <= needed.seeds < by_hand + 2
    assert f"{needed.seeds} seeds of each are needed" in LEDGER.finding(replicated(0.01), view)


def test_images_are_binomial_and_few_of_them_matter_more():
    few = by_name(ledger_view(finished(ONE_SEED, noise=0.01, examples=100), {}))["images"]
    many = by_name(ledger_view(finished(ONE_SEED, noise=0.01, examples=10_000), {}))["images"]
    assert few.std == pytest.approx(10 * many.std, rel=0.1)
    assert many.how == "binomial, of 10,000 validation images"


def test_what_images_add_between_trials_is_taken_off():
    """All configs are equal: what their scores differ by is which images they get right."""
    sweep = finished({"norm.scaling": SPACE["norm.scaling"]}, noise=0.0, truth=nothing, examples=500)
    rng = np.random.default_rng(0)
    bits = {trial.number: rng.random((1, 500)) < 0.8 for trial in sweep.trials}
    trials = tuple(
        dataclasses.replace(
            trial, curve={trial.last_epoch: float(bits[trial.number].mean())}, config={"at": trial.number}
        )
        for trial in sweep.trials
    )
    sweep = dataclasses.replace(sweep, trials=trials)
    name = "config, and seed with it"
    without = by_name(ledger_view(sweep, {}))[name].std
    assert without == pytest.approx(0.018, rel=0.3)
    assert by_name(ledger_view(sweep, bits))[name].std < 0.5 * without


def test_of_few_trials_nothing_is_said():
    view = ledger_view(finished(ONE_SEED, noise=0.01, trials=3), {})
    assert view.entries == ()
    assert not LEDGER.applies(view)


@pytest.mark.parametrize("narrow", [False, True])
def test_it_is_drawn(narrow):
    sweep = replicated(0.01)
    view = ledger_view(sweep, {})
    with styled():
        figure = (LEDGER.narrow if narrow else LEDGER.draw)(sweep, view)
    assert "not known" in [text.get_text() for text in figure.axes[0].texts]
    assert "binomial" in LEDGER.how(sweep, view)
