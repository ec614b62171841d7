"""The importances are Optuna's own, for all kinds of parameters."""

import warnings

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator

from ubn_sweep.landscape.views.importance import INACTIVE, _column
from ubn_sweep.landscape.views.ped_anova import importances

SPACE = {
    "rate": (
        {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
        FloatDistribution(1e-4, 0.1, log=True),
    ),
    "share": ({"type": "float", "low": 0.0, "high": 0.8}, FloatDistribution(0.0, 0.8)),
    "layers": ({"type": "int", "low": 1, "high": 6}, IntDistribution(1, 6)),
    "units": ({"type": "int", "low": 16, "high": 512, "log": True}, IntDistribution(16, 512, log=True)),
    "width": ({"type": "int", "low": 1, "high": 300}, IntDistribution(1, 300)),
    "batch": ({"type": "ordered", "values": [32, 64, 128]}, IntDistribution(0, 2)),
    "cell": (
        {"type": "choice", "values": ["lstm", None, True]},
        CategoricalDistribution(["lstm", None, True]),
    ),
}
"""Key -> (as the spec has it, as Optuna does)."""


def drawn(n, seed):
    """n trials, of which a third has no `share`; and their scores."""
    rng = np.random.default_rng(seed)
    trials = [
        {
            "rate": float(np.exp(rng.uniform(np.log(1e-4), np.log(0.1)))),
            "layers": int(rng.integers(1, 7)),
            "units": int(np.exp(rng.uniform(np.log(16), np.log(512)))),
            "width": int(rng.integers(1, 301)),
            "batch": int(rng.integers(0, 3)),
            "cell": ["lstm", None, True][rng.integers(0, 3)],
        }
        | ({"share": float(rng.uniform(0, 0.8))} if rng.random() < 2 / 3 else {})
        for _ in range(n)
    ]
    scores = np.array(
        [np.log(trial["rate"]) + trial["layers"] * (trial["cell"] == "lstm") for trial in trials]
    )
    return trials, np.round(scores + rng.normal(size=n), 1)  # with ties


def of_optuna(trials, scores):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study()
        for trial, score in zip(trials, scores, strict=True):
            distributions = {key: SPACE[key][1] for key in trial}
            study.add_trial(
                optuna.trial.create_trial(params=trial, distributions=distributions, value=-float(score))
            )
        return PedAnovaImportanceEvaluator(target_quantile=0.25).evaluate(study)


@pytest.mark.parametrize(("n", "seed"), [(16, 0), (40, 1), (60, 2), (7, 3), (200, 4)])
def test_they_are_optunas(n, seed):
    trials, scores = drawn(n, seed)
    expected = of_optuna(trials, scores)
    columns = []
    for key, (item, _) in SPACE.items():
        values = [trial.get(key, INACTIVE) for trial in trials]
        columns.append(_column(item, [item["values"][v] for v in values] if key == "batch" else values))
    found = importances(columns, scores, 0.25)
    for key, value in zip(SPACE, found, strict=True):
        assert value == pytest.approx(expected.get(key, 0.0), rel=1e-6, abs=1e-9), key


def test_a_value_outside_the_range_widens_it():
    item = {"type": "float", "low": 0.0, "high": 0.5}
    cells = _column(item, [0.0, 0.25, 1.0, INACTIVE]).cells
    assert cells.tolist() == [0, 12, 49, -1]
