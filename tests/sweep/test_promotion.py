"""Promoting early stopping: trials wait at rungs, the best of them go on from their checkpoints; and brackets."""

import math
import random
from collections import Counter

import pytest
from optuna.trial import TrialState as OptunaState

from ubn_sweep.errors import UserError
from ubn_sweep.records.events import (
    EpochReported,
    TrialCreated,
    TrialEnded,
    TrialPromoted,
    TrialRetried,
    from_dict,
    to_dict,
)
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.deciding.brackets import Brackets
from ubn_sweep.sweep.deciding.promotion import PromotionRungs
from ubn_sweep.sweep.deciding.rungs import Rungs
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.explaining.preview import Curve, expected_cost
from ubn_sweep.sweep.running.control import order_trial_stop
from ubn_sweep.sweep.running.dispatch import Dispatch
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, resume_sweep, start_sweep
from ubn_sweep.training.trial import Report

PROMOTE = {"kind": "promote", "grace_epochs": 1, "reduction_factor": 3}
HERE = Surroundings(executor=InProcessExecutor())


def accuracy(trial, epoch):
    return random.Random(trial).random() * (1 - 0.5**epoch)


@pytest.fixture
def make(small_spec):
    def make_state(record=lambda event: None, *, trials=30, sampler="random", stop_when=None, **stopping):
        search = {"trials": trials, "sampler": sampler, "warm_starts": False}
        spec = small_spec(
            search=search,
            early_stopping={**PROMOTE, **stopping},
            stop_when={} if stop_when is None else stop_when,
        )
        return SweepState(spec, record=record, now_s=lambda: 0.0)

    return make_state


def run(state, dice, *, workers=4, running=(), reports=math.inf):
    """Workers that report in any order; a trial that is over or waits leaves its worker."""
    running = list(running)
    while reports > 0:
        while len(running) < workers and (trial := state.next_trial()) is not None:
            running.append(trial)
        if not running:
            return
        trial = dice.choice(running)
        reports -= 1
        if state.report(trial.number, trial.epoch + 1, {"val_top1": accuracy(trial.number, trial.epoch + 1)}):
            running.remove(trial)


def literal_job(rungs, promoted, *, factor, levels, fresh):
    """`get_job` of the paper's algorithm 2: which trial a free worker gets; None for a new one."""
    for level in sorted(levels, reverse=True):
        ranked = sorted(rungs[level], key=lambda trial: (-rungs[level][trial], trial))
        candidates = [t for t in ranked[: int(len(ranked) / factor)] if t not in promoted[level]]
        if candidates:
            promoted[level].add(candidates[0])
            return candidates[0]
    assert fresh
    return None


@pytest.mark.parametrize("seed", range(3))
def test_each_free_worker_gets_what_the_paper_says(make, seed):
    events = []
    state = make(events.append)
    run(state, random.Random(seed))
    levels = (1, 3)  # and the end, 9
    rungs, promoted = {level: {} for level in levels}, {level: set() for level in levels}
    jobs = Counter()
    for event in events:
        if isinstance(event, EpochReported) and event.epoch in levels:
            rungs[event.epoch][event.trial] = event.metrics["val_top1"]
        elif isinstance(event, TrialCreated | TrialPromoted):
            expected = literal_job(
                rungs, promoted, factor=3, levels=levels, fresh=len(state.trials) > jobs["new"]
            )
            assert (expected is None) == isinstance(event, TrialCreated)
            jobs["new" if expected is None else "promoted"] += 1
            if isinstance(event, TrialPromoted):
                assert (event.trial, event.epoch) == (expected, state.rungs.levels[event.epoch > 1])
    assert literal_job(rungs, promoted, factor=3, levels=levels, fresh=True) is None  # nobody is left out
    assert jobs["new"] == 30
    assert jobs["promoted"] >= 10 + 3  # and some who were among the best for a while
    assert state.counts == {
        "completed": len(promoted[3]),
        "stopped": 30 - len(promoted[3]),
        "failed": 0,
        "diverged": 0,
    }
    assert state.finished
    assert {event.epoch for event in events if isinstance(event, TrialEnded)} == {1, 3, 9}
    assert all(trial.status != "running" for trial in Trials(events))


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("reports", [0, 3, 17, 40, 61])
def test_a_replayed_journal_gives_the_same_state_and_goes_on(make, sampler, reports):
    events = []
    state = make(events.append, sampler=sampler)
    run(state, random.Random(reports), reports=reports)
    again = []
    replayed = make(again.append, sampler=sampler)
    replayed.replay([from_dict(to_dict(event)) for event in events])
    assert again == []
    assert replayed.rungs == state.rungs
    assert replayed.waiting == state.waiting
    told = [
        [(t.state, t.params, t.values, t.intermediate_values) for t in s.memory.trials()]
        for s in (state, replayed)
    ]
    assert told[0] == told[1]
    run(replayed, random.Random(7))
    assert replayed.finished
    assert replayed.waiting == set()
    epochs = Counter((e.trial, e.epoch) for e in [*events, *again] if isinstance(e, EpochReported))
    assert set(epochs.values()) == {1}


def test_a_kill_before_the_last_ends_loses_no_decision(make):
    events = []
    run(make(events.append), random.Random(0))
    first_end = next(i for i, e in enumerate(events) if isinstance(e, TrialEnded) and e.status == "stopped")
    again = []
    make(again.append).replay(events[:first_end])
    assert again == events[first_end:]


def test_trials_that_wait_are_stopped_ones_to_a_sampler_that_sees_no_running_ones(make):
    state = make(sampler="tpe")
    run(state, random.Random(1), reports=30)
    assert len(state.waiting) > 5
    states = Counter(trial.state for trial in state.memory.trials())
    assert states[OptunaState.PRUNED] >= len(state.waiting)
    busy = [t for t in state.trials.values() if t.status is None and t.number not in state.waiting]
    run(state, random.Random(1), running=busy)
    assert state.finished
    assert not any(trial.state == OptunaState.RUNNING for trial in state.memory.trials())


def test_the_user_can_end_a_trial_that_waits(make, tmp_path):
    state = make(trials=6)
    folder = SweepFolder(home=tmp_path, name="sweep")
    dispatch = Dispatch(state, folder)
    for number in range(2):
        job = dispatch.next_job()
        assert dispatch.take(number, job.attempt, Report(epoch=1, metrics={"val_top1": 0.5}))
    assert (state.waiting, dispatch.running) == ({0, 1}, 0)
    order_trial_stop(folder, 0)
    assert Dispatch(state, folder).next_job().trial == 2
    assert (state.trials[0].status, state.trials[0].stopped_by, state.waiting) == ("stopped", "user", {1})


def test_what_fails_or_diverges_behind_a_rung_is_not_asked_again(make):
    state = make(trials=6)
    for _ in range(3):
        trial = state.next_trial()
        assert state.report(trial.number, 1, {"val_top1": 0.1 * trial.number})
    promoted = state.next_trial()
    assert (promoted.number, promoted.status) == (2, None)
    assert state.report(2, 2, {"val_top1": math.nan})
    assert state.trials[2].status == "diverged"
    assert state.next_trial().number == 3  # floor(3 / 3) is one, and it has gone


def test_a_stop_rule_that_is_lifted_lets_trials_wait_on(make):
    events = []
    state = make(events.append, stop_when={"epochs": 20})
    run_until_over(state)
    waiting = set(state.waiting)
    assert state.ended_by is not None
    assert len(waiting) > 5
    resumed = make(events.append)
    resumed.replay(list(events))
    for trial in list(resumed.trials.values()):
        if trial.status == "stopped" and trial.stopped_by == "rule":
            resumed.take_up(TrialRetried(time_s=0.0, trial=trial.number, was="stopped"))
    assert resumed.waiting == waiting
    run(resumed, random.Random(0))
    assert resumed.finished
    assert len(resumed.trials) == 30
    epochs = Counter((e.trial, e.epoch) for e in events if isinstance(e, EpochReported))
    assert set(epochs.values()) == {1}


def run_until_over(state):
    while not state.end_by_rule() and (trial := state.next_trial()) is not None:
        while not state.end_by_rule() and not state.report(
            trial.number, trial.epoch + 1, {"val_top1": accuracy(trial.number, trial.epoch + 1)}
        ):
            pass


def test_ends_of_trials_that_waited_are_no_lack_of_progress(make):
    state = make(stop_when={"trials_without_progress": 5})
    run_until_over(state)
    assert state.finished
    assert state.ended_by is None


def test_a_trial_goes_on_from_its_checkpoint(small_spec, tmp_path, monkeypatch):
    """Each epoch of each trial is trained once, over a kill too; at the end no checkpoint is left."""
    log = tmp_path / "epochs.txt"
    monkeypatch.setenv("TEST_EPOCH_LOG", str(log))
    monkeypatch.setenv("TEST_INTERRUPT_AT", "2 3")
    spec = small_spec(
        task="tests.support.trainables:interrupt",
        early_stopping=PROMOTE,
        search={"trials": 9, "sampler": "random"},
    )
    first = start_sweep(spec, home=tmp_path, name="held", surroundings=HERE)
    if first.finished:
        pytest.fail("trial 2 must be promoted: choose another one")
    monkeypatch.delenv("TEST_INTERRUPT_AT")
    second = resume_sweep(SweepFolder(home=tmp_path, name="held"), surroundings=HERE)
    assert second.finished
    assert second.counts == {"completed": 1, "stopped": 8, "failed": 0, "diverged": 0}
    trained = Counter(tuple(map(int, line.split()[:2])) for line in log.read_text().splitlines())
    again = trained.pop((2, 3))  # the epoch in which it was interrupted
    assert (again, set(trained.values())) == (2, {1})
    reported = {(e.trial, e.epoch) for e in read_journal(second.folder) if isinstance(e, EpochReported)}
    assert reported == {*trained, (2, 3)}
    assert not (second.folder / "checkpoints").exists()


@pytest.mark.slow
def test_promotion_on_ray(small_spec, tmp_path, cluster, epoch_log, empty_log):
    spec = small_spec(early_stopping=PROMOTE, search={"trials": 18, "sampler": "random"})
    result = start_sweep(spec, home=tmp_path, name=None)
    assert result.finished
    assert result.counts["completed"] + result.counts["stopped"] == 18
    assert 2 <= result.counts["completed"] < 9
    trained = Counter(line.rsplit(" ", 1)[0] for line in epoch_log.read_text().splitlines())
    reported = [e for e in read_journal(result.folder) if isinstance(e, EpochReported)]
    assert len(reported) == len({(e.trial, e.epoch) for e in reported}) < 18 * 9 / 2
    assert set(trained.values()) <= {1, 2}  # a worker may be an epoch ahead of the word to stop


# ---------------------------------------------------------------- brackets


@pytest.mark.parametrize("kind", ["stop", "promote"])
def test_each_bracket_is_a_ladder_of_its_own(kind):
    one = PromotionRungs if kind == "promote" else Rungs
    ladders = [one(grace_epochs=grace, reduction_factor=3, max_epochs=30) for grace in (1, 3, 9)]
    brackets = Brackets(ladders, seed=4)
    alone = [one(grace_epochs=grace, reduction_factor=3, max_epochs=30) for grace in (1, 3, 9)]
    assert brackets.levels == (1, 3, 9, 27)
    shares = Counter()
    for trial in range(200):
        mine = next(i for i, ladder in enumerate(ladders) if ladder is brackets.of(trial))
        shares[mine] += 1
        held = False
        for epoch in range(1, 30):
            value = accuracy(trial, epoch)
            held = alone[mine].report(trial, epoch, value)
            assert held == brackets.report(trial, epoch, value)
            if held:
                break
    assert [ladder.values for ladder in ladders] == [ladder.values for ladder in alone]
    assert shares[0] > shares[1] > shares[2] > 5  # exp(4), exp(3) and exp(2) of 200: 133, 49 and 18
    assert brackets.promotable(range(200)) == next(
        (t for ladder in alone if (t := ladder.promotable(range(200))) is not None), None
    )


def test_a_sweep_with_brackets_judges_some_trials_later(make):
    events = []
    state = make(events.append, trials=40, kind="stop", brackets=2)
    run(state, random.Random(0))
    ended = Counter(trial.epoch for trial in state.trials.values())
    assert set(ended) == {1, 3, 9}
    late = [n for n in state.trials if state.rungs.of(n).levels[0] == 3]
    assert 3 < len(late) < 20
    assert all(state.trials[n].epoch >= 3 for n in late)
    replayed = make(trials=40, kind="stop", brackets=2)
    replayed.replay(events)
    assert replayed.rungs == state.rungs


def test_brackets_that_cannot_be_are_refused(make):
    assert make(kind="stop", brackets=3).rungs.levels == (1, 3, 9)
    with pytest.raises(
        UserError, match=r"early_stopping.brackets: .* 4 brackets would be epoch 27 of 9: lower"
    ):
        make(kind="stop", brackets=4)


# ---------------------------------------------------------------- what it will cost


def test_the_preview_replays_promotion(make):
    """Where all tie, the oldest third of each rung goes on."""
    same = Curve(scores=tuple(epoch / 10 for epoch in range(1, 10)), epoch_s=1.0, complete=True)
    cost = expected_cost(make().spec, workers=1, curves=[same], replays=3)
    assert (cost.epochs.mean, cost.completed.mean) == (30 + 10 * 2 + 3 * 6, 3)
