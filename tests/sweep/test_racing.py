"""Races: who leaves, how often by mistake, and what is trained next, whatever the order in which trainings end."""

import math

import numpy as np
import pytest

from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import TrialCreated
from ubn_sweep.records.race import Entrant, RaceConfig
from ubn_sweep.records.racing import due, standing
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.spec.loading import spec_from_plain
from ubn_sweep.sweep.spec.racing import Racer, baseline_config, race_spec


def race(runners=5, choosing=5, held_out=3, *, baseline=True):
    entrants = [Entrant(name=f"trial {n}", params={"a": n}, trial=n) for n in range(runners)]
    if baseline:
        entrants.append(Entrant(name="bn", params={"a": -1}, baseline=True))
    rounds = tuple({"seed": n} for n in range(choosing + held_out))
    return RaceConfig(of="s", of_id="i", entrants=tuple(entrants), rounds=rounds, choosing=choosing)


def scores(table):
    return {(entrant, number): float(value) for (entrant, number), value in np.ndenumerate(table)}


@pytest.mark.parametrize("spread", [(1, 1, 1, 1, 1), (3, 1, 1, 1, 1), (0.3, 1, 1, 1, 1)])
def test_the_best_leaves_by_chance_in_no_more_races_than_stated(spread):
    """All are as good as one another, which is the worst case; the first may be noisier or quieter than the rest."""
    dice, field, races = np.random.default_rng(0), race(), 300
    lost = 0
    for _ in range(races):
        rounds = dice.normal(0, 2, (1, 5))  # what a split does to all of them
        table = rounds + dice.normal(0, 1, (5, 5)) * np.array(spread)[:, None]
        lost += 0 in standing(field, scores(table)).left
    assert lost / races <= field.error_rate + 3 * math.sqrt(field.error_rate * 0.9 / races)


def test_what_is_clearly_worse_leaves_early_though_splits_differ_more():
    dice = np.random.default_rng(1)
    table = dice.normal(0, 10, (1, 5)) + dice.normal(0, 0.3, (5, 5)) - np.array([[0], [1], [8], [9], [9]])
    found = standing(race(), scores(table))
    assert {2, 3, 4} <= set(found.left)
    assert all(found.left[entrant].round <= 3 for entrant in (2, 3, 4))
    assert found.is_chosen
    assert found.winner == 0


def test_a_look_waits_for_the_whole_round_and_takes_no_later_one():
    table = np.zeros((5, 5)) + np.arange(5)[:, None] + np.random.default_rng(2).normal(0, 0.01, (5, 5))
    whole = scores(table)
    part = {place: score for place, score in whole.items() if place != (0, 1)}
    assert standing(race(), part).decided == 1
    two = {place: score for place, score in whole.items() if place[1] < 2}
    assert standing(race(), two).left == standing(race(), whole).left != {}


def test_what_diverges_or_fails_leaves_and_nobody_may_be_left():
    table = np.zeros((5, 5)) + np.random.default_rng(3).normal(0, 1, (5, 5))
    table[2, 1] = math.nan
    found = standing(race(), scores(table))
    assert found.left[2].round == 2
    assert found.left[2].why == "its training has no score"
    table[:, 0] = math.nan
    found = standing(race(), scores(table))
    assert found.is_chosen
    assert found.winner is None
    assert due(race(), found) == []


def test_the_winner_and_the_baseline_train_on_the_held_out_rounds_alone():
    table = np.zeros((6, 5)) + np.random.default_rng(4).normal(0, 1, (6, 5))
    found = standing(race(), scores(table))
    assert found.winner == int(np.argmax(table[:5].mean(axis=1)))  # the baseline has no trial to export
    held_out = [place for place in due(race(), found) if place[1] >= 5]
    assert held_out == [(entrant, number) for number in (5, 6, 7) for entrant in (found.winner, 5)]


def test_one_config_needs_no_choosing():
    one = race(runners=1)
    found = standing(one, {})
    assert found.winner == 0
    assert len(due(one, found)) == one.most_trainings == 6


# ---------------------------------------------------------------- as a sweep


def value_of(trial):
    """In a race, a config's worth, what the round does to all, and a little of its own."""
    threshold = trial.config["norm"].get("threshold") or 0.0
    own = (trial.config["seed"] * 7919 + round(1000 * threshold)) % 97 / 97
    return 0.5 - 0.2 * threshold + 0.1 * (trial.config["dataset"]["split_seed"] % 7) + 0.005 * own


def racing(small_spec):
    spec = small_spec(search={"trials": 6, "sampler": "random"}, early_stopping=None)
    state = SweepState(spec, record=lambda event: None)
    racers = []
    while (trial := state.next_trial()) is not None:
        name, config = f"trial {trial.number}", trial.config
        racers.append(Racer(name=name, config=config, trial=trial.number))
    racers.append(Racer(name="bn", config=baseline_config(spec, "bn"), baseline=True))
    return race_spec(spec, "id", racers, name="small-confirm", choosing=4, held_out=2), racers


def run(spec, events, *, after=None):
    """Trains until all is over, or so many records are written; two at once, the later one always ends first."""
    state = SweepState(spec, record=events.append, now_s=lambda: 0.0)
    state.replay(list(events))
    running = []
    while not state.finished:
        while len(running) < 2 and (trial := state.next_trial()) is not None:
            running.append(trial)
        trial = running.pop()
        for epoch in range(trial.epoch + 1, 10):
            if after is not None and len(events) >= after:
                return state
            if state.report(trial.number, epoch, {"val_top1": value_of(trial)}):
                break
    return state


def test_a_race_trains_the_sweeps_configs_on_common_seeds_and_splits(small_spec):
    spec, racers = racing(small_spec)
    again = spec_from_plain(schema.to_plain(spec))
    assert (again.race, again.space, again.base) == (spec.race, spec.space, spec.base)
    events = []
    state = run(spec, events)
    created = [event for event in events if isinstance(event, TrialCreated)]
    assert len(created) <= spec.race.most_trainings
    rounds = {}
    for event in created:
        place = spec.race.place_of(event.params)
        plain = {**event.config, "seed": 0, "dataset": {**event.config["dataset"], "split_seed": 0}}
        meant = racers[place[0]].config
        assert plain == {**meant, "seed": 0, "dataset": {**meant["dataset"], "split_seed": 0}}
        rounds.setdefault(place[1], set()).add((event.config["seed"], event.config["dataset"]["split_seed"]))
    assert all(len(seeds) == 1 for seeds in rounds.values())
    assert len(set.union(*rounds.values())) == 6
    assert state.finished
    assert "left the race early" in state.ending


def places(spec, events):
    """(entrant, round) of the trainings that were begun, in order."""
    return [spec.race.place_of(event.params) for event in events if isinstance(event, TrialCreated)]


def test_killed_anywhere_it_goes_on_and_trains_none_twice(small_spec):
    spec, _ = racing(small_spec)
    whole = []
    run(spec, whole)
    held_out = {place for place in places(spec, whole) if place[1] >= 4}
    for after in range(1, len(whole), 23):
        events = []
        run(spec, events, after=after)
        assert run(spec, events).finished
        begun = places(spec, events)
        assert len(begun) == len(set(begun))
        assert {place for place in begun if place[1] >= 4} == held_out


def test_what_no_race_can_settle_is_refused(small_spec):
    spec, racers = racing(small_spec)
    with pytest.raises(UserError, match="confirms small itself"):
        race_spec(spec, "id", racers, name="again", choosing=2, held_out=2)
    two = small_spec(objective=["val_top1", "epoch_s"], early_stopping=None)
    with pytest.raises(UserError, match="two objectives"):
        race_spec(two, "id", racers, name="again", choosing=2, held_out=2)
