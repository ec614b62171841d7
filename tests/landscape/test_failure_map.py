"""Where trials come to nothing: what is planted is told, what chance explains is not."""

import dataclasses
import random

import pytest

from tests.support.journals import SPACE, nothing, sweep_events
from ubn_sweep.landscape.figures.failure_map import FAILURE_MAP
from ubn_sweep.landscape.figures.style import styled
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.failure_map import failure_map_view
from ubn_sweep.landscape.views.regions import regions_of
from ubn_sweep.records.observations import observations


def sweep_of(comes_to_nothing, trials=80, seed=0, reason="loss became NaN"):
    """Trials that are said to have diverged; the rest as they were."""
    sweep = read_sweep(observations(sweep_events(trials, truth=nothing, seed=seed)))
    changed = [
        dataclasses.replace(trial, status="diverged", reason=reason) if comes_to_nothing(trial) else trial
        for trial in sweep.trials
    ]
    return dataclasses.replace(sweep, trials=tuple(changed))


@pytest.fixture(scope="module")
def planted():
    return sweep_of(lambda trial: trial.params["norm.momentum"] > 0.19 and trial.number % 4 > 0)


def test_a_region_where_trials_diverge_is_told_with_its_reason(planted):
    view = failure_map_view(planted)
    parameter, region = view.told[0]
    assert (parameter.key, region.name) == ("norm.momentum", "0.19 to 0.5")
    assert region.low < region.nothing / region.n < region.high
    assert region.nothing == view.nothing
    assert [(p.key, r.name) for p, r in view.told] == [("norm.momentum", "0.19 to 0.5")]
    said = FAILURE_MAP.finding(planted, view)
    assert said.startswith(
        f"{view.nothing} of 80 ended trials failed or diverged, more than chance explains where "
    )
    assert (
        f"momentum 0.19 to 0.5: {region.nothing} of {region.n} (loss became NaN ({region.nothing}))" in said
    )


def test_every_ended_trial_is_counted_once_for_each_of_its_parameters(planted):
    view = failure_map_view(planted)
    for parameter in view.parameters:
        having = [trial for trial in planted.trials if parameter.key in trial.params]
        assert sum(region.n for region in parameter.regions) == len(having)
    assert view.looks == sum(len(parameter.regions) for parameter in view.parameters)


def test_what_fails_at_random_is_told_of_in_few_sweeps():
    """5% of 60 are exceeded by more than 6 once in 30 times."""
    told = 0
    for seed in range(60):
        chance = random.Random(seed)
        told += bool(failure_map_view(sweep_of(lambda trial: chance.random() < 0.2, 40, seed)).told)  # noqa: B023
    assert told <= 6


def test_few_failures_are_no_map():
    view = failure_map_view(sweep_of(lambda trial: trial.number < 2))
    assert view.nothing == 2
    assert not FAILURE_MAP.applies(view)
    everything = failure_map_view(sweep_of(lambda trial: True))
    assert not FAILURE_MAP.applies(everything)


def test_parts_of_ranges_hold_every_value_once():
    for key, item in SPACE.items():
        parts = regions_of(item)
        values = item.get("values") or [item["low"], (item["low"] * item["high"]) ** 0.5, item["high"]]
        for value in values:
            assert sum(part.has(value) for part in parts) == 1, key
    assert regions_of({"type": "constant", "value": 3}) == ()


@pytest.mark.parametrize("narrow", [False, True])
def test_it_is_drawn(planted, narrow):
    view = failure_map_view(planted)
    with styled():
        figure = (FAILURE_MAP.narrow if narrow else FAILURE_MAP.draw)(planted, view)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert "momentum 0.19 to 0.5" in labels
    assert "corrected for" in FAILURE_MAP.how(planted, view)
