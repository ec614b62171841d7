"""Going on with a sweep: more trials, other resources, moved data; the same command again; and what is refused."""

import subprocess
import sys

import pytest

from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import EpochReported, SpecChanged, SweepEnded, TrialCreated
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal, read_journal
from ubn_sweep.records.observations import observations, origin_of
from ubn_sweep.records.trials import Trials
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.changes import changed_spec, hand_on
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, recorded_spec, resume_sweep, start_sweep
from ubn_sweep.sweep.running.ray.executor import RayExecutor

HERE = Surroundings(executor=InProcessExecutor())
FEW = {"trials": 4, "sampler": "random"}


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path / "sweeps", name="held")


def trials_of(folder):
    return [(e.trial, e.params) for e in read_journal(folder.path) if isinstance(e, TrialCreated)]


def test_a_finished_sweep_gets_more_trials_as_if_they_had_been_asked_for_at_first(
    small_spec, tmp_path, folder, monkeypatch
):
    monkeypatch.setenv("TEST_EPOCH_S", "0")
    start_sweep(small_spec(search=FEW), home=folder.home, name="held", surroundings=HERE)
    result = resume_sweep(folder, assignments=["search.trials=7"], surroundings=HERE)
    assert result.finished
    assert sum(result.counts.values()) == 7
    whole = start_sweep(
        small_spec(search={**FEW, "trials": 7}), home=tmp_path, name="whole", surroundings=HERE
    )
    assert trials_of(folder) == trials_of(SweepFolder(home=tmp_path, name=whole.sweep))
    events = read_journal(folder.path)
    assert [event.changes for event in events if isinstance(event, SpecChanged)] == [{"search.trials": 7}]
    assert recorded_spec(events).search.trials == 7
    assert "trials: 7" in folder.spec.read_text()
    assert origin_of(observations(events)).spec["search"]["trials"] == 7
    ends = sum(isinstance(event, SweepEnded) for event in events)
    again = resume_sweep(folder, surroundings=HERE)
    assert again.counts == result.counts
    assert sum(isinstance(event, SweepEnded) for event in read_journal(folder.path)) == ends == 2


def test_a_kill_between_the_change_and_its_trials_changes_nothing(small_spec, folder):
    start_sweep(small_spec(search=FEW), home=folder.home, name="held", surroundings=HERE)
    new, changes = changed_spec(
        recorded_spec(read_journal(folder.path)), ["search.trials=5", "early_stopping=null"]
    )
    with Journal(folder.path) as journal:
        journal.append(SpecChanged(time_s=1.0, spec=schema.to_plain(new), changes=changes))
    result = resume_sweep(folder, surroundings=HERE)
    assert sum(result.counts.values()) == 5
    assert Trials(read_journal(folder.path))[4].last_epoch == 9


@pytest.mark.parametrize(
    "assignment",
    [
        "optimizer.lr=0.3",
        "search.seed=3",
        "space.training.batch_size.high=128",
    ],
)
def test_what_would_make_trials_incomparable_is_refused(small_spec, assignment):
    with pytest.raises(UserError, match="incomparable") as caught:
        changed_spec(small_spec(), [assignment])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "assignment", ["search.trails=9", "search.trials=none", "resources.cpus_per_trial=0"]
)
def test_mistakes_are_told_as_everywhere(small_spec, assignment):
    with pytest.raises(UserError, match="--set"):
        changed_spec(small_spec(), [assignment])


def test_trials_that_had_begun_find_moved_data(small_spec):
    spec = small_spec(search=FEW)
    state = SweepState(spec, record=lambda event: None)
    state.next_trial()
    state.report(0, 1, {"val_top1": 0.5})
    moved, _ = changed_spec(spec, ["dataset.root=/moved", "resources.max_concurrent=2"])
    again = SweepState(moved, record=lambda event: None)
    first = state.trials[0]
    again.replay(
        [
            TrialCreated(time_s=0.0, trial=0, params=first.params, config=first.config, origin="random"),
            EpochReported(time_s=0.0, trial=0, epoch=1, metrics={"val_top1": 0.5}),
        ]
    )
    hand_on(again)
    assert again.trials[0].config["dataset"]["root"] == "/moved"
    assert moved.resources.max_concurrent == 2


@pytest.mark.slow
def test_the_same_command_again_goes_on(write_spec, tmp_path, folder):
    path = write_spec(search=FEW)
    command = ["run", str(path), "--name", "held", "--or-resume", "--executor", "in-process"]
    folder.path.mkdir(parents=True)  # killed before its first record
    for _ in range(2):
        done = call_cli(command, cwd=tmp_path, TEST_EPOCH_S="0")
        assert done.returncode == 0, done.stderr
    assert len(trials_of(folder)) == 4
    assert [path.name for path in folder.home.iterdir() if path.is_dir() and path.name != "mlartifacts"] == [
        "held"
    ]
    told = call_cli([*command, "--set", "training.epochs=3"], cwd=tmp_path)
    assert (told.returncode, "another `training.epochs`" in told.stderr) == (2, True)


def test_a_mistyped_address_burns_no_name(small_spec, folder):
    nowhere = Surroundings(executor=RayExecutor(address="127.0.0.1:1"))
    with pytest.raises(UserError, match="no cluster at"):
        start_sweep(small_spec(), home=folder.home, name="held", surroundings=nowhere)
    assert not folder.home.exists()


def test_the_shell_completes_names(tmp_path, small_spec, folder):
    start_sweep(small_spec(search=FEW), home=folder.home, name="held", surroundings=HERE)
    program = "import sys; sys.argv = ['ubn-sweep']; from ubn_sweep.cli import main; main()"
    asked = {"_UBN_SWEEP_COMPLETE": "bash_complete", "COMP_WORDS": "ubn-sweep resume h", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["plain,held"]
