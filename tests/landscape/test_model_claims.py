"""What is said of the model is a claim: counted by its name, and gone from a landscape that withholds it."""

import dataclasses

import pytest

from tests.support.journals import SPACE, sweep_events
from ubn_sweep.landscape.analysis import analyse
from ubn_sweep.landscape.claims import claims, key_of, kind_of
from ubn_sweep.landscape.figures import FIGURES
from ubn_sweep.landscape.views.levels import BatchNormLevel, Paired
from ubn_sweep.landscape.withholding import without
from ubn_sweep.landscape.words import thresholds
from ubn_sweep.records.observations import observations

KEYS = ("norm.gate", "norm.threshold", "norm.centering", "norm.scaling", "norm.affine", "norm.momentum")
OF_THE_MODEL = {
    "gate_by_model",
    "layers_paired",
    "threshold_by",
    "effect",
    "together",
    "change_matters",
    "failures_at",
}


def crossing(params):
    """The best threshold is 0.6 with instance scaling, and 0.1 without it; without a gate nothing is good."""
    if not params["norm.gate"]:
        return 0.4
    return (
        0.8 - 0.9 * (params["norm.threshold"] - (0.6 if params["norm.scaling"] == "instance" else 0.1)) ** 2
    )


@pytest.fixture(scope="module")
def planted():
    events = sweep_events(90, truth=crossing, space={key: SPACE[key] for key in KEYS}, stops=(3,), keep=0.5)
    landscape = analyse(observations(events), claims_alone=True)
    pair = Paired(pairs=4, layers=1, better=0.1, low=0.05, high=0.15)
    level = BatchNormLevel(n=4, others=9, seeds=1, middle=0.4, low=0.3, high=0.5, paired=pair)
    parameters = tuple(
        dataclasses.replace(found, regions=(dataclasses.replace(found.regions[0], p_value=0.001),))
        for found in failures_of(landscape)
    )
    return dataclasses.replace(
        landscape,
        profile=dataclasses.replace(landscape.profile, batch_norm=level),
        failure_map=dataclasses.replace(landscape.failure_map, parameters=parameters),
    )


def failures_of(landscape):
    from tests.landscape.test_failure_map import sweep_of
    from ubn_sweep.landscape.views.failure_map import failure_map_view

    return failure_map_view(sweep_of(lambda trial: trial.params["norm.momentum"] > 0.19)).parameters[:1]


def test_each_has_a_name(planted):
    found = claims(planted)
    assert {kind_of(claim) for claim in found} >= OF_THE_MODEL
    assert "threshold_by:norm.scaling" in found
    assert key_of("threshold_by:norm.scaling") == "norm.scaling"
    assert key_of("gate_by_model") == "norm.gate"


def test_what_is_withheld_is_not_said(planted):
    weighed = without(planted, claims(planted))
    assert not {kind_of(claim) for claim in claims(weighed)} & OF_THE_MODEL
    said = thresholds(weighed)
    assert "Whether the gate pays is not shown" in said
    assert "Between UBN and plain BatchNorm nothing is told" in said
    assert "depends on" not in said


def test_findings_name_the_claims_that_they_make():
    named = {claim for entry in FIGURES for claim in entry.claims}
    assert OF_THE_MODEL - {"layers_paired"} <= named


def test_claims_alone_ask_for_no_second_opinion(planted):
    assert planted.profile.check is None
    assert planted.pairs.surfaces == ()
