"""The worlds in which promises are tried: their truth is what their trainings come to on average."""

import numpy as np
import pytest

from benchmarks.promise.world import SCENARIOS, World
from benchmarks.promise_coverage import mean, one, report

CONFIG = {
    "norm": {
        "name": "ubn",
        "threshold": 0.2,
        "momentum": 0.1,
        "similarity_momentum": 0.1,
        "centering": True,
    },
    "training": {"batch_size": 64},
    "dataset": {"split_seed": 0},
    "seed": 0,
}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_trainings_come_to_the_truth_on_average(scenario):
    world = World(scenario, 1)
    seeds = range(120)
    ends = [world.curve({**CONFIG, "seed": seed, "dataset": {"split_seed": seed}})[0][-1] for seed in seeds]
    error = (
        np.std(ends) / len(seeds) ** 0.5 + (0.25 / scenario.pool) ** 0.5
    )  # the images are a sample themselves
    assert abs(np.mean(ends) - world.worth(CONFIG)) < 4 * error
    values, right = world.curve(CONFIG)
    assert values[-1] == right.mean()
    assert np.std(world.tests(CONFIG, 500)) > scenario.seed_std * 0.8


def test_a_sweep_and_its_race_are_judged():
    found = one(SCENARIOS[4], 0, "random")
    for part in ("alone", "confirmed"):
        assert 0 <= found[part]["covered"] <= 1
    assert found["trainings"] <= 40
    assert found["gain"] == 0  # all are equal
    assert mean([found, found], "trainings", scale=1) == f"{found['trainings']:.1f} ± 0.0"
    assert "| all equal" in report({"random/all equal": [found, found]})
