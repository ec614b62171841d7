"""The time that is left, told while a sweep runs, against the time that it really took."""

import heapq

import numpy as np
import pytest

from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.outlook import Watcher
from ubn_sweep.sweep.explaining.preview import model_curve

START_UP_S, EPOCH_S, SLOTS = 20.0, 2.0, 2


def told_and_true(spec, seed):
    """(share of the time that has gone, seconds told to be left, seconds that were left), epoch by epoch."""
    rng, now = np.random.default_rng(seed), [0.0]
    state = SweepState(spec, record=lambda event: None, now_s=lambda: now[0])
    watcher = Watcher(state, now_s=lambda: now[0])
    told, running = [], []
    curves = {}
    now[0] = START_UP_S
    while True:
        while len(running) < SLOTS and (trial := state.next_trial()) is not None:
            curves[trial.number] = model_curve(spec.base.training.epochs, rng)
            heapq.heappush(running, (now[0] + EPOCH_S, trial.number, 1))
        if not running:
            break
        now[0], number, epoch = heapq.heappop(running)
        if not state.report(number, epoch, {"val_top1": float(curves[number][epoch - 1])}):
            heapq.heappush(running, (now[0] + EPOCH_S, number, epoch + 1))
        told.append((now[0], watcher.look().left_s))
    end_s = now[0]
    return [(at / end_s, left, end_s - at) for at, left in told if left is not None]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("epochs", [9, 30])
def test_the_time_left_is_about_what_it_takes(small_spec, seed, epochs):
    spec = small_spec(search={"trials": 60, "sampler": "random"}, base={"training": {"epochs": epochs}})
    looks = told_and_true(spec, seed)
    first = looks[0]
    assert first[0] < 0.25  # told early: the start-up takes a part of it
    assert first[1] / first[2] == pytest.approx(1.0, abs=0.6)
    errors = [abs(left - truth) / truth for share, left, truth in looks if share < 0.9]
    assert np.median(errors) < 0.35
    assert looks[-2][1] < 10 * EPOCH_S


def test_without_early_stopping_it_is_nearly_exact(small_spec):
    spec = small_spec(search={"trials": 20, "sampler": "random"}, early_stopping=None)
    for share, left, truth in told_and_true(spec, 0):
        if share > 0.3:
            assert left == pytest.approx(truth, rel=0.1, abs=2 * EPOCH_S)


def test_nothing_is_told_before_epochs_are(small_spec):
    state = SweepState(small_spec(), record=lambda event: None)
    watcher = Watcher(state)
    assert watcher.look().left_s is None
    assert watcher.look().epochs_per_s == 0.0
