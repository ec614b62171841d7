"""Sweeps on a real Ray cluster in this process: how trials end, and what the journal holds."""

from collections import Counter

import pytest

from ubn_sweep.errors import UserError
from ubn_sweep.records.events import EpochReported, SweepEnded, TrialCreated, TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, resume_sweep, start_sweep

pytestmark = pytest.mark.usefixtures("cluster", "empty_log")
HERE = Surroundings(executor=InProcessExecutor())
"""For what is no matter of Ray's."""


def events_of(folder, kind):
    return [event for event in read_journal(folder) if isinstance(event, kind)]


def test_a_sweep_runs_to_its_end(small_spec, tmp_path, epoch_log):
    result = start_sweep(small_spec(), home=tmp_path / "sweeps", name=None)
    assert result.finished
    assert sum(result.counts.values()) == 10
    assert result.counts["failed"] == result.counts["diverged"] == 0
    assert len(events_of(result.folder, TrialCreated)) == len(events_of(result.folder, TrialEnded)) == 10
    assert len(events_of(result.folder, SweepEnded)) == 1
    trained = Counter(tuple(line.split()[:2]) for line in epoch_log.read_text().splitlines())
    recorded = {(str(e.trial), str(e.epoch)) for e in events_of(result.folder, EpochReported)}
    # Each recorded epoch was trained once, and stops are exact: nothing was trained beyond them.
    assert set(trained) == recorded
    assert set(trained.values()) == {1}
    assert not (result.folder / "checkpoints").exists()


@pytest.mark.slow
def test_actors_are_reused(small_spec, tmp_path, epoch_log):
    start_sweep(small_spec(), home=tmp_path / "sweeps", name=None)
    processes = {line.split()[2] for line in epoch_log.read_text().splitlines()}
    assert len(processes) <= 2  # one may do it all while the other starts


@pytest.mark.slow
def test_each_fault_is_recorded_as_what_it_was(small_spec, tmp_path):
    spec = small_spec(
        task="tests.support.trainables:train_with_faults",
        search={"trials": 8, "sampler": "random"},
        resources={"worker_deaths": 1},
        early_stopping=None,
    )
    result = start_sweep(spec, home=tmp_path / "sweeps", name=None)
    ends = {event.trial: event for event in events_of(result.folder, TrialEnded)}
    statuses = {trial: end.status for trial, end in ends.items()}
    expected = dict.fromkeys(range(8), "completed") | {2: "failed", 3: "diverged", 5: "failed", 6: "failed"}
    assert statuses == expected
    assert "boom in epoch two" in ends[2].reason
    assert ends[2].epoch == 1
    assert "died 2 times" in ends[5].reason
    assert "before its last epoch" in ends[6].reason


@pytest.mark.slow
def test_a_trial_whose_process_died_goes_on_from_its_checkpoint(small_spec, tmp_path, epoch_log):
    spec = small_spec(
        task="tests.support.trainables:train_with_faults",
        search={"trials": 5, "sampler": "random"},
        early_stopping=None,
    )
    start_sweep(spec, home=tmp_path / "sweeps", name=None)
    trained = Counter(
        line.split()[1] for line in epoch_log.read_text().splitlines() if line.split()[0] == "4"
    )
    # It died after training epoch 2, before saving it.
    assert trained == {str(epoch): 2 if epoch == 2 else 1 for epoch in range(1, 10)}


@pytest.mark.slow
def test_a_finished_sweep_resumes_to_the_same_result(small_spec, tmp_path):
    result = start_sweep(small_spec(), home=tmp_path / "sweeps", name="done")
    folder = SweepFolder(home=tmp_path / "sweeps", name="done")
    before = folder.journal.read_text()
    again = resume_sweep(folder)
    assert folder.journal.read_text() == before
    assert (again.counts, again.best.number) == (result.counts, result.best.number)


def test_names_count_up_or_are_refused(small_spec, tmp_path):
    home = tmp_path / "sweeps"
    spec = small_spec(search={"trials": 1, "sampler": "random"})
    assert [start_sweep(spec, home=home, name=None, surroundings=HERE).sweep for _ in range(2)] == [
        "small",
        "small-2",
    ]
    with pytest.raises(UserError, match="--name: there is a sweep `small`"):
        start_sweep(spec, home=home, name="small", surroundings=HERE)


def test_earlier_results_are_learned_from(small_spec, tmp_path):
    home = tmp_path / "sweeps"
    start_sweep(small_spec(), home=home, name="first", surroundings=HERE)
    spec = small_spec(search={"trials": 3, "sampler": "tpe", "learn_from": ["first"]})
    second = start_sweep(spec, home=home, name="second", surroundings=HERE)
    events = read_journal(second.folder)
    assert sum(type(event).__name__ == "PriorTrial" for event in events) == 10
    with pytest.raises(UserError, match="unknown sweep `absent`"):
        start_sweep(
            small_spec(search={"trials": 3, "learn_from": ["absent"]}),
            home=home,
            name="third",
            surroundings=HERE,
        )
    assert not (home / "third").exists()


def test_an_unknown_task_is_one_line(small_spec, tmp_path):
    for name, expected in [
        ("absent:train", "no module that can be imported"),
        ("tests.support.trainables:absent", "no task `absent`; it has"),
        ("nonsense", "module:Class"),
    ]:
        with pytest.raises(UserError, match=expected):
            start_sweep(small_spec(task=name), home=tmp_path / "sweeps", name=None)
    assert not (tmp_path / "sweeps").exists()


def test_a_running_sweep_is_not_started_twice(small_spec, tmp_path):
    from ubn_sweep.sweep.running.lock import sweep_lock

    start_sweep(small_spec(search={"trials": 1}), home=tmp_path / "sweeps", name="held", surroundings=HERE)
    folder = SweepFolder(home=tmp_path / "sweeps", name="held")
    with sweep_lock(folder), pytest.raises(UserError, match="running already, in process"):
        resume_sweep(folder, surroundings=Surroundings())
