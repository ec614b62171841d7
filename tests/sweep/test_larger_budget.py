"""A sweep whose budget grows, or whose early stopping becomes kinder: trials that had ended go on."""

from collections import Counter

import pytest

from tests.training.builders import tiny_config
from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import EpochReported, SpecChanged, TrialRetried
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal, read_journal
from ubn_sweep.records.progress import Progress
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.deciding.rungs import Rungs
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.changes import changed_spec
from ubn_sweep.sweep.running.going_on import going_on
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, recorded_spec, resume_sweep, start_sweep
from ubn_sweep.training.classification.run import TrainingRun

FEW = {"trials": 8, "sampler": "random"}
LARGER = ["training.epochs=20"]


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path / "sweeps", name="held")


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """How often each (trial, epoch) was trained since the last call."""
    log = tmp_path / "epochs.txt"
    monkeypatch.setenv("TEST_EPOCH_LOG", str(log))

    def read():
        lines = [line.split() for line in log.read_text().splitlines()]
        log.write_text("")
        return Counter((int(trial), int(epoch)) for trial, epoch, _ in lines)

    return read


def start(spec, folder):
    return start_sweep(
        spec, home=folder.home, name=folder.name, surroundings=Surroundings(executor=InProcessExecutor())
    )


def resume(folder, told=None, **changes):
    tell = [].append if told is None else told.append
    return resume_sweep(folder, surroundings=Surroundings(executor=InProcessExecutor(), tell=tell), **changes)


def retried(folder):
    return {event.trial: event for event in read_journal(folder.path) if isinstance(event, TrialRetried)}


def check_readers_agree(folder, result):
    events = read_journal(folder.path)
    replayed, progress = SweepState(recorded_spec(events), record=lambda event: None), Progress()
    replayed.replay(events)
    for event in events:
        progress.apply(event)
    assert replayed.finished
    assert progress.counts == replayed.counts == result.counts
    assert replayed.best.number == result.best.number == progress.best.trial
    assert replayed.best.scores == result.best.scores == progress.best.scores
    records = Trials(events)
    for trial in replayed.trials.values():
        assert records[trial.number].last_epoch == trial.epoch
        assert records[trial.number].created.config == trial.config
    return replayed


@pytest.mark.parametrize(
    "kind",
    [
        {},
        pytest.param({"kind": "promote", "reduction_factor": 2}, marks=pytest.mark.slow),
        pytest.param({"brackets": 2}, marks=pytest.mark.slow),
    ],
    ids=["stop", "promote", "two brackets"],
)
def test_completed_trials_go_on_to_a_larger_budget_from_kept_checkpoints(small_spec, folder, trained, kind):
    early_stopping = {"grace_epochs": 1, "reduction_factor": 3, **kind}
    search = {**FEW, "trials": 16 if "kind" in kind else 8}
    spec = small_spec(search=search, early_stopping=early_stopping, resources={"keep_checkpoints": True})
    first = start(spec, folder)
    before = Trials(read_journal(folder.path))
    ended = {trial.number: (trial.status, trial.last_epoch) for trial in before}
    assert first.counts["completed"] > 0 < first.counts["stopped"]
    assert all(folder.checkpoint(number).exists() for number in ended)
    trained()
    told = []
    second = resume(folder, told, assignments=LARGER)
    assert second.finished
    again = retried(folder)
    completed = {number for number, (status, _) in ended.items() if status == "completed"}
    assert completed <= again.keys()
    assert told == [f"{len(again)} trials that had ended go on, {len(again)} of them from their checkpoints"]
    for number, event in again.items():
        assert (event.was, event.epoch, event.changes) == (ended[number][0], None, {"training.epochs": 20})
    budget = "the budget is 20 epochs now: from the checkpoint of epoch 9"
    assert all(again[number].reason == budget for number in completed)
    # Nothing is trained twice, and nothing that had been trained.
    times = trained()
    assert set(times.values()) == {1}
    assert all(epoch > ended[number][1] for number, epoch in times)
    state = check_readers_agree(folder, second)
    # The rungs between the budgets hold: of few trials at 16, a promoting rung lets none pass.
    assert state.best.epoch == (16 if "kind" in kind else 20)
    assert state.best.config["training"]["epochs"] == 20
    assert all(trial.epoch == 20 for trial in state.trials.values() if trial.status == "completed")


@pytest.mark.slow
def test_without_checkpoints_they_begin_anew_and_a_line_says_so(small_spec, folder, trained):
    start(small_spec(search=FEW, early_stopping=None), folder)
    trained()
    told = []
    second = resume(folder, told, assignments=LARGER)
    assert told == [
        "8 trials that had ended go on, 0 of them from their checkpoints, 8 from the start: no checkpoints are kept "
        "of them (resources.keep_checkpoints is for that)"
    ]
    assert second.counts["completed"] == 8
    assert trained() == {(number, epoch): 1 for number in range(8) for epoch in range(1, 21)}
    event = retried(folder)[0]
    assert (event.was, event.epoch, event.reason) == (
        "completed",
        0,
        "the budget is 20 epochs now: from the start",
    )
    # What they reported under the old budget is void.
    reports = [e for e in read_journal(folder.path) if isinstance(e, EpochReported) and e.trial == 3]
    assert [report.epoch for report in reports] == [*range(1, 10), *range(1, 21)]
    check_readers_agree(folder, second)


@pytest.mark.slow
def test_the_best_ones_go_on_from_their_final_checkpoints(small_spec, folder, trained):
    spec = small_spec(search=FEW, early_stopping=None, resources={"keep_best": 2})
    start(spec, folder)
    best = {int(path.name.removeprefix("trial-")) for path in folder.best.iterdir()}
    trained()
    second = resume(folder, assignments=LARGER)
    times = trained()
    assert {number for number, epoch in times if epoch == 1} == set(range(8)) - best
    assert all(times[number, 10] == 1 for number in best)
    check_readers_agree(folder, second)
    assert all((path / "state.json").read_text() == "20" for path in folder.best.iterdir())


def test_an_interrupted_trial_takes_the_new_budget_where_it_stands(small_spec, folder, trained, monkeypatch):
    monkeypatch.setenv("TEST_INTERRUPT_AT", "1 6")
    spec = small_spec(
        task="tests.support.trainables:interrupt",
        search={**FEW, "trials": 2},
        early_stopping=None,
        resources={"checkpoint_every_epochs": 2},
    )
    assert not start(spec, folder).finished
    trained()
    monkeypatch.delenv("TEST_INTERRUPT_AT")
    second = resume(folder, assignments=LARGER)
    # Epoch 5 had been reported under the old budget, behind the checkpoint of epoch 4.
    assert sorted(epoch for number, epoch in trained() if number == 1) == list(range(5, 21))
    event = retried(folder)[1]
    assert (event.was, event.epoch) == (None, 3)
    check_readers_agree(folder, second)


def test_kinder_early_stopping_lets_stopped_trials_go_on(small_spec, folder, trained):
    spec = small_spec(search=FEW, resources={"keep_checkpoints": True})
    first = start(spec, folder)
    assert first.counts["stopped"] > 1
    trained()
    second = resume(folder, assignments=["early_stopping=null"])
    assert second.counts["completed"] == 8
    assert len(retried(folder)) == first.counts["stopped"]
    assert set(trained().values()) == {1}
    check_readers_agree(folder, second)
    assert len(retried(folder)) == first.counts["stopped"], "and once is enough"
    before = len(read_journal(folder.path))
    resume(folder)
    assert len(read_journal(folder.path)) == before


@pytest.mark.slow
def test_more_trials_alone_promote_nothing(small_spec, folder):
    start(small_spec(search=FEW), folder)
    resume(folder, assignments=["search.trials=9"])
    assert retried(folder) == {}


def test_what_the_user_stopped_stays_stopped(small_spec, folder):
    state = SweepState(small_spec(early_stopping=None), record=lambda event: None)
    for number, stopped_by in enumerate(("user", "rungs")):
        state.next_trial()
        state.report(number, 1, {"val_top1": 0.5})
        state.end(number, "stopped", "", stopped_by)
    found = going_on(state, folder, changed={"early_stopping"}, retry_failed=True)
    assert [one.event.trial for one in found] == [1]


@pytest.mark.slow
def test_a_kill_among_the_first_records_of_the_resume_changes_nothing(small_spec, folder, tmp_path):
    start(small_spec(search=FEW, resources={"keep_checkpoints": True}), folder)
    new, changes = changed_spec(recorded_spec(read_journal(folder.path)), LARGER)
    with Journal(folder.path) as journal:
        journal.append(SpecChanged(time_s=1.0, spec=schema.to_plain(new), changes=changes))
    result = resume(folder)
    assert all(event.changes == {"training.epochs": 20} for event in retried(folder).values())
    check_readers_agree(folder, result)
    assert result.best.epoch == 20


def test_the_budget_cannot_shrink(small_spec):
    with pytest.raises(UserError, match=r"training\.epochs can only grow, from 9 on, but got 5") as caught:
        changed_spec(small_spec(), ["training.epochs=5"])
    assert "\n" not in str(caught.value)


def test_a_rung_is_asked_again_when_it_knows_more():
    rungs = Rungs(grace_epochs=1, reduction_factor=2, max_epochs=9)
    assert not rungs.report(0, 1, 0.9)
    assert rungs.report(1, 1, 0.8)
    assert not rungs.lets_go_on(1)
    for number, value in enumerate((0.1, 0.2, 0.3), start=2):
        rungs.report(number, 1, value)
    assert rungs.lets_go_on(1)
    rungs.reopen(1, 1)
    assert not rungs.report(1, 2, 0.9)
    rungs.reopen(1, 0)
    assert 1 not in {**rungs.values[1], **rungs.values[2]}
    assert rungs.cutoff(2) is None


def test_a_checkpoint_goes_on_to_a_larger_budget(tmp_path):
    short = tiny_config(training={"epochs": 1}, optimizer={"schedule": "constant"})
    long = tiny_config(training={"epochs": 2}, optimizer={"schedule": "constant"})
    first, whole, second = TrainingRun(short), TrainingRun(long), TrainingRun(long)
    first.train_epoch()
    first.save(tmp_path)
    second.load(tmp_path)
    whole.train_epoch()
    assert second.train_epoch()["train_loss"] == whole.train_epoch()["train_loss"]
