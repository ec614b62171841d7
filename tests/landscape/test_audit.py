"""What audits say of early scores: known correlations, an interval that holds them, and no warning without cause."""

import dataclasses

import numpy as np
import pytest

from tests.support.journals import SPACE, hill, nothing, sweep_events
from ubn_sweep.landscape.advice import audits
from ubn_sweep.landscape.read import read_sweep
from ubn_sweep.landscape.views.audit import audit_view, foretelling_interval
from ubn_sweep.records.events import EpochReported, TrialCreated
from ubn_sweep.records.observations import observations

ALWAYS_ON = {"norm.threshold": SPACE["norm.threshold"] | {"when": {}}}


def view_of(events):
    return audit_view(read_sweep(observations(events)))


def crossing(events):
    """The same sweep with low thresholds ahead after the first epoch and behind from the second on."""
    thresholds = {e.trial: e.params["norm.threshold"] for e in events if isinstance(e, TrialCreated)}
    for place, event in enumerate(events):
        if isinstance(event, EpochReported):
            slope = -0.1 if event.epoch == 1 else 0.1
            score = 0.7 + slope * thresholds[event.trial] + 0.001 * (event.trial % 7)
            events[place] = dataclasses.replace(event, metrics={**event.metrics, "val_top1": score})
    return events


def test_audits_are_read_from_the_table():
    table = observations(sweep_events(40, truth=hill, audit=5))
    view = audit_view(read_sweep(table))
    assert (view.audits, view.finished) == (7, 7)
    assert [found.epoch for found in view.foretold] == [1, 3]
    for found in view.foretold:
        assert 0 <= found.low < found.ahead <= found.high <= 1
    without = audit_view(read_sweep(table.drop_columns(["audit"])))  # of a version before
    assert (without.audits, without.foretold, audits(without)) == (0, (), "")


def test_what_it_says():
    text = audits(view_of(sweep_events(60, truth=hill, audit=5)))
    assert text.startswith(
        "11 audits, drawn at random and never stopped: of two, the one ahead is ahead at the end,"
    )
    assert "after epoch 1 in " in text
    assert "after epoch 3 in " in text
    assert "of pairs (90% interval " in text
    few = audits(view_of(sweep_events(20, truth=hill, audit=5)))
    assert few == (
        "3 audits of 3 finished where early stopping ended others: it takes 6 to say what early scores are worth."
    )


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_the_interval_holds_the_truth(rho):
    """90% where both scores are normal; 400 times 10 audits, so that 0.05 is three standard errors."""
    dice, truth, held = np.random.default_rng(1), 0.5 + np.arcsin(rho) / np.pi, 0
    for _ in range(400):
        early = dice.normal(size=10)
        end = rho * early + np.sqrt(1 - rho**2) * dice.normal(size=10)
        _, low, high = foretelling_interval(early, end)
        held += low <= truth <= high
    assert 0.85 <= held / 400 <= 0.96


def test_perfect_order_in_few_audits_is_no_proof():
    share, low, high = foretelling_interval(range(6), range(6))
    assert (share, high) == (1.0, 1.0)
    assert low < 0.95


def test_a_threshold_that_turns_is_warned_of():
    view = view_of(crossing(sweep_events(60, space=ALWAYS_ON, audit=5)))
    assert view.turning.is_shown
    assert (
        "Early stopping misleads here: low thresholds are ahead after epoch 1 and behind at the end"
        in audits(view)
    )
    assert view.foretold[0].high < 0.5


def test_where_nothing_matters_few_are_warned():
    """5% at most: more than 5 of 40 happens once in 70 times."""
    warned = 0
    for seed in range(40):
        turning = view_of(sweep_events(30, truth=nothing, seed=seed, audit=4)).turning
        warned += turning is not None and turning.is_shown
    assert warned <= 5
