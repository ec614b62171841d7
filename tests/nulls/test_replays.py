"""Replays: the sweep's own sampler and early stopping, in worlds where parameters do not matter."""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from scipy import stats

from tests.support.journals import SPACE, sweep_events
from ubn_sweep.errors import UserError
from ubn_sweep.landscape.read import read_correctness, read_sweep
from ubn_sweep.nulls.counting import Replays, worlds_of
from ubn_sweep.nulls.original import original_of, workers_of
from ubn_sweep.nulls.replay import replayed, with_images
from ubn_sweep.nulls.worlds import Worlds
from ubn_sweep.records.correctness import packed
from ubn_sweep.records.events import EpochReported, PriorTrial, SweepStarted, TrialCreated, TrialEnded
from ubn_sweep.records.observations import observations

CLIFF = {key: SPACE[key] for key in ("norm.threshold", "norm.momentum")} | {
    "norm.threshold": SPACE["norm.threshold"] | {"when": {}}
}


def cliff(params):
    """The threshold matters much, the momentum as well."""
    return (0.9 if params["norm.threshold"] < 0.4 else 0.6) + 0.1 * math.log10(params["norm.momentum"])


@pytest.fixture(scope="module")
def original():
    events = sweep_events(60, space=CLIFF, truth=cliff, audit=12, statuses={7: "diverged", 8: "failed"})
    return original_of(events)


@cache
def worlds(original):
    """The model of what matters is fitted once."""
    return Worlds(original)


def view(original, world, index=0, seed=0):
    drawn = worlds(original).of(world, seed=0, index=index)
    return read_sweep(observations(replayed(original, drawn, seed=seed)))


def scores(sweep, key, epoch=1):
    trials = [trial for trial in sweep.trials if epoch in trial.curve]
    return [trial.params[key] for trial in trials], [trial.curve[epoch] for trial in trials]


def correlation(original, world, key):
    """Mean over some replays, at the first epoch, which all trials have."""
    found = [stats.spearmanr(*scores(view(original, world, n, n), key)).statistic for n in range(6)]
    return float(np.mean(found))


def test_nothing_matters_where_nothing_is_to_matter(original):
    assert abs(correlation(original, "nothing", "norm.threshold")) < 0.2
    assert abs(correlation(original, "nothing", "norm.momentum")) < 0.2


def test_all_but_one_matter_where_all_but_one_are_to(original):
    assert abs(correlation(original, "but:norm.threshold", "norm.threshold")) < 0.2
    assert correlation(original, "but:norm.threshold", "norm.momentum") > 0.15
    assert correlation(original, "but:norm.momentum", "norm.threshold") < -0.4


def test_a_replay_is_like_the_sweep(original):
    """As many trials, audits, and epochs; spreads and divergence about as they were."""
    sweeps = [view(original, "nothing", n, n) for n in range(6)]
    assert {len(sweep.trials) for sweep in sweeps} == {60}
    assert all(trial.start for sweep in sweeps for trial in sweep.trials[:1]), "warm starts come first"
    own = np.std(original.seen[:, 0])
    assert 0.7 * own < np.mean([np.std(scores(sweep, "norm.threshold")[1]) for sweep in sweeps]) < 1.3 * own
    statuses = [trial.status for sweep in sweeps for trial in sweep.trials]
    assert 1 <= statuses.count("diverged") <= 20
    assert 1 <= statuses.count("failed") <= 20
    assert statuses.count("stopped") > statuses.count("completed") > 20


def test_the_same_seed_gives_the_same_replay(original):
    replays = [Replays(original, seed=3) for _ in range(2)]
    events = [replayed(original, Worlds(original).of("nothing", seed=3, index=1), seed=5) for _ in range(2)]
    assert events[0] == events[1]
    assert replays[0].claims("equal", 4) == replays[1].claims("equal", 4)
    assert events[0] != replayed(original, Worlds(original).of("nothing", seed=3, index=2), seed=5)


def test_measures_have_nothing_to_do_with_the_score(original):
    pairs = [
        (trial.metrics_at[1]["gate_open"], trial.curve[1])
        for n in range(6)
        for trial in view(original, "nothing", n, n).trials
        if 1 in trial.curve and trial.metrics_at[1]
    ]
    assert abs(stats.spearmanr(*zip(*pairs, strict=True)).statistic) < 0.15


def test_equal_trainings_differ_by_chance_in_the_images_alone():
    images, rng = 400, np.random.default_rng(0)
    ease = rng.normal(3.0, 5.0, images)
    events = []
    for event in sweep_events(30, space=CLIFF, truth=cliff):
        if isinstance(event, EpochReported):
            event = dataclasses.replace(event, metrics={**event.metrics, "val_examples": float(images)})
        elif isinstance(event, TrialEnded):
            event = dataclasses.replace(event, correct=packed(ease + rng.logistic(size=(1, images)) > 0))
        events.append(event)
    found = original_of(events)
    assert found.examples == images
    drawn = replayed(found, Worlds(found).of("equal", seed=0, index=0), seed=0, at_random=True)
    table = observations(with_images(drawn, found, rng))
    sweep, bits = read_sweep(table), read_correctness(table)
    assert bits.keys() == {trial.number for trial in sweep.finished}
    for trial in sweep.finished:
        assert bits[trial.number].mean() == pytest.approx(trial.score, abs=1e-9)
    first = [trial.curve[1] for trial in sweep.trials]
    assert np.std(first) < 0.8 * math.sqrt(np.mean(first) * (1 - np.mean(first)) / images)
    hard = np.mean([row[0][ease < 0].mean() for row in bits.values()])
    assert hard < np.mean([row[0][ease > 4].mean() for row in bits.values()]) - 0.2


def test_what_earlier_sweeps_taught_is_made_up_too():
    prior = PriorTrial(
        time_s=0.0, sweep="before", trial=3, params={"norm.threshold": 0.1, "norm.momentum": 0.1},
        values={1: 0.99, 2: 0.999}, status="stopped",
    )  # fmt: skip
    events = sweep_events(30, space=CLIFF, truth=cliff)
    found = original_of([events[0], prior, *events[1:]])
    drawn = replayed(found, Worlds(found).of("nothing", seed=0, index=0), seed=0)
    (taught,) = (event for event in drawn if isinstance(event, PriorTrial))
    assert taught.params == prior.params
    assert taught.values.keys() == prior.values.keys()
    assert max(taught.values.values()) < 0.99


def test_how_many_trials_ran_at_once_is_read_from_the_records():
    def event(kind, trial, epoch=0):
        if kind is TrialCreated:
            return TrialCreated(time_s=0.0, trial=trial, params={}, config={}, origin="random")
        return EpochReported(time_s=0.0, trial=trial, epoch=epoch, metrics={})

    one = [
        event(TrialCreated, 0),
        event(EpochReported, 0, 1),
        event(TrialCreated, 1),
        event(EpochReported, 1, 1),
    ]
    assert workers_of(one) == 1
    three = [event(TrialCreated, n) for n in range(3)]
    for n in range(20):
        three += [event(EpochReported, n, 1), event(TrialCreated, n + 3)]
    three += [event(EpochReported, n, 1) for n in range(20, 23)]
    assert workers_of(three) == 3
    assert workers_of([]) == 1


def test_a_sweep_of_few_trials_has_no_null():
    with pytest.raises(UserError, match="8 trials or more, but 5 of `made-up`"):
        original_of(sweep_events(5, space=CLIFF, truth=cliff))


def test_worlds_are_those_that_the_sweep_has(original):
    assert worlds_of(original, ["norm.threshold", "norm.scaling"]) == (
        "nothing",
        "equal",
        "but:norm.threshold",
    )
    loss = original_of(sweep_events(20, space=CLIFF, truth=cliff, metric="val_loss"))
    assert worlds_of(loss, []) == ("nothing",)
    assert np.mean(view(loss, "nothing").trials[0].curve[1]) > 0


def test_the_original_is_not_ended_by_its_rules():
    events = sweep_events(20, space=CLIFF, truth=cliff)
    assert isinstance(events[0], SweepStarted)
    rules = {"target": 0.01, "epochs": 3, "trial_target": 0.99}
    events[0] = dataclasses.replace(events[0], spec={**events[0].spec, "stop_when": rules})
    found = original_of(events)
    assert found.spec.stop_when.trial_target == 0.99
    assert found.spec.stop_when.target is None
    assert len(view(found, "nothing").trials) == 20
