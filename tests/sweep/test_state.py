"""The sweep's state: what it decides, and that replayed events lead to the same state at any point."""

import gc
import random
import weakref

import pytest
from optuna.trial import TrialState as OptunaState

from ubn_sweep.records.events import EpochReported, TrialCreated, TrialEnded, from_dict, to_dict
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.deciding.suggestions import EXHAUSTED


def accuracy(trial, epoch):
    """The same for every replay: a trial's quality comes from its number."""
    return random.Random(trial).random() * (1 - 0.5**epoch)


def run(state, rng, running=None, max_reports=None):
    """Random workers report until all is over, or until so many reports have been made."""
    running = running if running is not None else []
    reports = 0
    while max_reports is None or reports < max_reports:
        while len(running) < 3 and (trial := state.next_trial()) is not None:
            running.append(trial)
        if not running:
            return running
        trial = rng.choice(running)
        reports += 1
        if state.report(trial.number, trial.epoch + 1, {"val_top1": accuracy(trial.number, trial.epoch + 1)}):
            running.remove(trial)
    return running


@pytest.fixture
def make(small_spec):
    def make_state(record=lambda event: None, **changes):
        return SweepState(small_spec(**changes), record=record, now_s=lambda: 0.0)

    return make_state


def by_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_every_trial_ends_once_and_the_study_agrees(make):
    events = []
    state = make(events.append, search={"trials": 40, "sampler": "random"})
    run(state, random.Random(0))
    assert state.finished
    assert sum(state.counts.values()) == 40 == len(by_kind(events, TrialEnded))
    assert state.counts["stopped"] > 10 < state.counts["stopped"] + state.counts["completed"]
    study = state.memory.trials()
    assert sum(trial.state == OptunaState.PRUNED for trial in study) == state.counts["stopped"]
    assert sum(trial.state == OptunaState.COMPLETE for trial in study) == state.counts["completed"]
    for event in by_kind(events, TrialEnded):
        # The epoch of the end is among the intermediate values.
        assert max(study[event.trial].intermediate_values) == event.epoch == state.trials[event.trial].epoch


def test_the_best_is_a_trial_of_full_budget_where_there_is_one(make):
    state = make(search={"trials": 30, "sampler": "random"})
    run(state, random.Random(1))
    finished = [trial for trial in state.trials.values() if trial.status == "completed"]
    assert state.best is max(finished, key=lambda trial: trial.score)


@pytest.mark.parametrize("reports", [0, 1, 2, 5, 11, 23, 40])
def test_a_replayed_journal_gives_the_same_state_and_goes_on(make, reports):
    events = []
    state = make(events.append)
    run(state, random.Random(reports), max_reports=reports)
    replayed_events = [from_dict(to_dict(event)) for event in events]
    again = []
    replayed = make(again.append)
    replayed.replay(replayed_events)
    assert again == []  # nothing new had to be decided
    assert replayed.rungs == state.rungs
    assert replayed.counts == state.counts
    assert [t.params for t in replayed.trials.values()] == [t.params for t in state.trials.values()]
    assert [t.intermediate_values for t in replayed.memory.trials()] == [
        t.intermediate_values for t in state.memory.trials()
    ]
    run(replayed, random.Random(7))
    assert replayed.finished
    assert len(replayed.trials) == 10
    assert len(by_kind(again, EpochReported)) + len(by_kind(events, EpochReported)) == replayed.epochs_done


def test_a_kill_between_the_last_report_and_the_end_loses_no_decision(make):
    events = []
    state = make(events.append)
    run(state, random.Random(3))
    for cut in [i for i, event in enumerate(events) if isinstance(event, TrialEnded)]:
        decided = []
        replayed = make(decided.append)
        replayed.replay(events[:cut])
        assert decided == [events[cut]]


def test_what_trial_n_gets_does_not_depend_on_kills(make):
    def params(kill_after):
        events = []
        state = make(events.append, search={"trials": 12, "sampler": "random", "seed": 5})
        for _ in range(kill_after):
            state.next_trial()
        state = make(events.append, search={"trials": 12, "sampler": "random", "seed": 5})
        state.replay(list(events))
        while state.next_trial() is not None:
            pass
        return [event.params for event in by_kind(events, TrialCreated)]

    undisturbed = params(0)
    assert len(undisturbed) == 12
    for kill_after in (1, 4, 9, 12):
        assert params(kill_after) == undisturbed


def test_the_first_trials_are_the_papers_defaults_and_plain_batch_norm(make):
    state = make()
    paper, bn = state.next_trial(), state.next_trial()
    assert (paper.origin, bn.origin) == (
        "warm start: paper",
        "warm start: near bn",
    )  # the space lacks centering: it is on
    assert paper.config["norm"]["threshold"] == 0.15
    assert paper.config["norm"]["affine"] == "depthwise"
    assert (bn.config["norm"]["gate"], bn.config["norm"]["affine"]) == (False, "pointwise")
    assert bn.config["norm"]["kernel_size"] is None


def test_no_config_comes_twice_and_a_small_space_ends_the_sweep(make):
    space = {"norm.kernel_size": {"type": "ordered", "values": [1, 3, 5]}}
    state = make(space=space, base={"training": {"epochs": 2}}, search={"trials": 10, "sampler": "random"})
    run(state, random.Random(0))
    assert state.ending == EXHAUSTED
    assert state.finished
    assert sorted(trial.params["norm.kernel_size"] for trial in state.trials.values()) == [1, 3, 5]


def test_inactive_parameters_are_not_sampled(make):
    state = make(search={"trials": 60, "sampler": "random"})
    while (trial := state.next_trial()) is not None:
        assert ("norm.threshold" in trial.params) == trial.params["norm.gate"]
        assert ("norm.kernel_size" in trial.params) == (trial.params["norm.affine"] == "depthwise")
        assert trial.params["training.batch_size"] in (16, 32, 48, 64)


def test_a_reported_nan_is_divergence_and_enters_no_rung(make):
    state = make()
    trial = state.next_trial()
    assert state.report(trial.number, 1, {"val_top1": float("nan")})
    assert state.counts["diverged"] == 1
    assert state.rungs.counts()[1] == 0
    assert state.memory.trials()[0].state == OptunaState.FAIL


def test_an_epoch_reported_again_after_a_restart_changes_nothing(make):
    events = []
    state = make(events.append)
    trial = state.next_trial()
    state.report(trial.number, 1, {"val_top1": 0.5})
    before = list(events)
    assert state.report(trial.number, 1, {"val_top1": 0.5}) is False
    assert events == before


def test_without_early_stopping_every_trial_completes(make):
    state = make(early_stopping=None)
    run(state, random.Random(0))
    assert state.counts["completed"] == 10


def test_a_loss_is_minimised(make):
    state = make(objective={"metric": "val_loss"}, early_stopping=None)
    for loss in (3.0, 1.0, 2.0):
        trial = state.next_trial()
        for epoch in range(1, 10):
            state.report(trial.number, epoch, {"val_loss": loss})
    assert state.best.number == 1


def test_trial_seeds_differ_or_are_the_same_as_wished(make):
    different = make()
    same = make(search={"trials": 10, "sampler": "random", "trial_seeds": "same"})
    assert [different.next_trial().config["seed"] for _ in range(3)] == [0, 1, 2]
    assert [same.next_trial().config["seed"] for _ in range(3)] == [0, 0, 0]


def test_repeats_do_not_share_seeds_between_trials(make):
    state = make(base={"training": {"epochs": 9}, "repeats": 3})
    assert [state.next_trial().config["seed"] for _ in range(3)] == [0, 3, 6]


def test_a_sweep_whose_trials_all_fail_ends_without_a_word_from_the_sampler(make, recwarn):
    state = make(search={"trials": 30, "sampler": "auto"})
    while (trial := state.next_trial()) is not None:
        state.end(trial.number, "failed" if trial.number % 2 else "diverged")
    assert state.finished
    assert state.best is None
    assert [str(warning.message) for warning in recwarn if "sampler" in str(warning.message)] == []


def test_what_a_trial_reports_beside_its_objective_is_not_held(make):
    class Metrics(dict):
        """A dict that can be referred to weakly."""

    state, held = make(early_stopping=None), []
    for _ in range(3):
        trial = state.next_trial()
        for epoch in range(1, 10):
            metrics = Metrics(val_top1=epoch / 10, **{f"similarity/layer{n}": 0.5 for n in range(100)})
            held.append(weakref.ref(metrics))
            state.report(trial.number, epoch, metrics)
    del metrics
    gc.collect()
    assert [ref() for ref in held] == [None] * 27
    assert [trial.value for trial in state.trials.values()] == [0.9] * 3
