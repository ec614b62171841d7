"""Rungs decide as Ray's AsyncHyperBandScheduler does, and survive restarts."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.schedulers.trial_scheduler import TrialScheduler

from ubn_sweep.sweep.deciding.rungs import Rungs


def ray_scheduler(rungs: Rungs) -> AsyncHyperBandScheduler:
    return AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="value",
        mode="max",
        max_t=rungs.max_epochs,
        grace_period=rungs.grace_epochs,
        reduction_factor=rungs.reduction_factor,
    )


def ray_rungs(scheduler: AsyncHyperBandScheduler) -> dict[float, dict[int, float]]:
    return dict(reversed(scheduler._brackets[0]._rungs))


@pytest.mark.parametrize(
    ("grace_epochs", "reduction_factor", "max_epochs"),
    [(2, 3, 52), (1, 3, 81), (1, 4, 100), (2, 2, 27), (3, 2.5, 40), (1, 3, 243), (2, 3, 54), (5, 3, 5)],
)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("with_ties", [False, True])
@pytest.mark.parametrize("every", [1, 4])
def test_same_decisions_as_ray(grace_epochs, reduction_factor, max_epochs, seed, with_ties, every):
    rng = np.random.default_rng(seed)
    rungs = Rungs(grace_epochs=grace_epochs, reduction_factor=reduction_factor, max_epochs=max_epochs)
    scheduler = ray_scheduler(rungs)
    running: dict[int, int] = {}
    started = stopped = 0
    while started < 120 or running:
        while started < 120 and len(running) < 8:
            running[started] = 0
            scheduler.on_trial_add(None, SimpleNamespace(trial_id=started))
            started += 1
        trial = int(rng.choice(list(running)))
        running[trial] += int(rng.integers(1, every + 1))
        value = rng.normal() + 0.1 * trial / 120
        if with_ties:
            value = round(value, 1)
        ours = rungs.report(trial, running[trial], value)
        report = {"epoch": running[trial], "value": value}
        theirs = scheduler.on_trial_result(None, SimpleNamespace(trial_id=trial), report)
        assert ours == (theirs == TrialScheduler.STOP)
        if ours:
            stopped += running.pop(trial) < max_epochs
    assert [len(recorded) for recorded in ray_rungs(scheduler).values()] == list(rungs.counts().values())
    assert [dict(recorded) for recorded in ray_rungs(scheduler).values()] == list(rungs.values.values())
    assert stopped > 0 or grace_epochs == max_epochs


@pytest.mark.parametrize(
    ("grace_epochs", "reduction_factor", "max_epochs", "levels"),
    [(2, 3, 52, (2, 6, 18)), (1, 3, 81, (1, 3, 9, 27, 81)), (3, 2.5, 40, (3, 8, 19)), (5, 3, 5, (5,))],
)
def test_levels(grace_epochs, reduction_factor, max_epochs, levels):
    rungs = Rungs(grace_epochs=grace_epochs, reduction_factor=reduction_factor, max_epochs=max_epochs)
    assert rungs.levels == levels


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_stops_and_is_not_recorded(value):
    rungs = Rungs(grace_epochs=2, reduction_factor=3, max_epochs=52)
    assert rungs.report(0, 1, value)
    assert rungs.report(1, 2, value)
    assert rungs.counts() == {2: 0, 6: 0, 18: 0}


def test_replayed_reports_change_nothing():
    rng = np.random.default_rng(0)
    rungs = Rungs(grace_epochs=2, reduction_factor=3, max_epochs=52)
    reports = [(trial, epoch, rng.normal()) for trial in range(30) for epoch in range(1, 20)]
    decisions = [rungs.report(*report) for report in reports]
    before = pickle.loads(pickle.dumps(rungs))
    assert [rungs.report(trial, 19, 9.0) for trial in range(30)] == [t in rungs.stopped for t in range(30)]
    assert rungs == before
    assert rungs.values == before.values
    afresh = Rungs(grace_epochs=2, reduction_factor=3, max_epochs=52)
    assert [afresh.report(*report) for report in reports] == decisions
    assert afresh == rungs
    assert 0 < len(rungs.stopped) < 30


def test_equality_sees_settings_and_values():
    one, two = (Rungs(grace_epochs=2, reduction_factor=3, max_epochs=52) for _ in range(2))
    assert one == two
    assert one != Rungs(grace_epochs=2, reduction_factor=4, max_epochs=52)
    one.report(0, 2, 0.5)
    assert one != two
    two.report(0, 2, 0.5)
    assert one == two
    assert one != "rungs"
    assert "counts={2: 1, 6: 0, 18: 0}" in repr(one)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"grace_epochs": 60}, "lower the one"),
        ({"grace_epochs": 0}, "grace_epochs"),
        ({"reduction_factor": 1}, "reduction_factor"),
        ({"reduction_factor": float("nan")}, "reduction_factor"),
    ],
)
def test_bad_settings_name_the_rule(changed, message):
    with pytest.raises(ValueError, match=message):
        Rungs(**{"grace_epochs": 2, "reduction_factor": 3, "max_epochs": 52} | changed)
