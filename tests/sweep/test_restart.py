"""Sweeps that are killed for real, and what `ubn-sweep resume` makes of them."""

import json
import os
import random
import signal
import subprocess
from collections import Counter

import pytest

from tests.support.processes import descendants, kill_all, run_cli, start_cli, wait_until
from ubn_sweep.records.events import EpochReported, TrialCreated, TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.deciding.state import SweepState
from ubn_sweep.sweep.running.launch import recorded_spec

TRIALS = 12


@pytest.fixture
def spec_path(write_spec):
    return write_spec(search={"trials": TRIALS, "sampler": "random", "seed": 3})


def folder_in(tmp_path):
    return SweepFolder(home=tmp_path / "sweeps", name="small")


def events_in(tmp_path):
    folder = folder_in(tmp_path)
    return read_journal(folder.path) if folder.journal.exists() else []


def recorded(tmp_path, kind):
    return [event for event in events_in(tmp_path) if isinstance(event, kind)]


def run_arguments(spec_path):
    return ["run", str(spec_path), "--cpus", "2", "--json"]


def start(spec_path, tmp_path, **environment):
    return start_cli(run_arguments(spec_path), cwd=tmp_path, **{"TEST_EPOCH_S": "0.1", **environment})


def resume(tmp_path, **environment):
    arguments = ["resume", "small", "--cpus", "2", "--json"]
    return start_cli(arguments, cwd=tmp_path, **{"TEST_EPOCH_S": "0.1", **environment})


def finish(process, tmp_path):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def undisturbed_params(spec_path, tmp_path):
    """What an undisturbed sweep samples: the state alone decides, without Ray."""
    from ubn_sweep.sweep.spec.loading import load_spec

    events = []
    state = SweepState(load_spec(spec_path), record=events.append)
    while state.next_trial() is not None:
        pass
    return [event.params for event in events if isinstance(event, TrialCreated)]


def mlflow_trial_runs(tmp_path):
    """(trial, status) -> how many runs, in the tracking store."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=folder_in(tmp_path).default_tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    tags = [run.data.tags for run in runs]
    return Counter(
        (int(tag["ubn_sweep.trial"]), tag["ubn_sweep.status"]) for tag in tags if "ubn_sweep.trial" in tag
    )


def check_whole(spec_path, tmp_path):
    """The same trials as an undisturbed sweep, each recorded once, the same in all stores."""
    events = events_in(tmp_path)
    created = [event for event in events if isinstance(event, TrialCreated)]
    ended = [event for event in events if isinstance(event, TrialEnded)]
    reports = Counter((event.trial, event.epoch) for event in events if isinstance(event, EpochReported))
    assert [event.params for event in created] == undisturbed_params(spec_path, tmp_path)
    assert sorted(event.trial for event in ended) == list(range(TRIALS))
    assert set(reports.values()) == {1}
    for event in ended:
        assert {epoch for trial, epoch in reports if trial == event.trial} == set(range(1, event.epoch + 1))
    assert mlflow_trial_runs(tmp_path) == Counter((event.trial, event.status) for event in ended)
    study = stored_study(tmp_path)
    assert Counter(trial.state.name for trial in study.trials) == Counter(
        {"completed": "COMPLETE", "stopped": "PRUNED"}[event.status] for event in ended
    )


def stored_study(tmp_path):
    import optuna

    storage = folder_in(tmp_path).default_study_storage
    (summary,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage)


@pytest.mark.slow
def test_everything_killed_in_mid_sweep_is_taken_up(spec_path, tmp_path):
    log = tmp_path / "epochs.txt"
    process = start(spec_path, tmp_path, TEST_EPOCH_LOG=str(log))
    wait_until(lambda: len(recorded(tmp_path, TrialEnded)) >= 3, timeout_s=120)
    kill_all(process)
    before = events_in(tmp_path)
    ended_before = {event.trial for event in before if isinstance(event, TrialEnded)}
    state = SweepState(recorded_spec(before), record=lambda event: None)
    state.replay(before)
    trained_before = len(log.read_text().splitlines())

    result = finish(resume(tmp_path, TEST_EPOCH_LOG=str(log)), tmp_path)
    assert sum(result["trials"].values()) == TRIALS
    check_whole(spec_path, tmp_path)
    after = events_in(tmp_path)
    assert after[: len(before)] == before
    trained_again = log.read_text().splitlines()[trained_before:]
    assert not ended_before & {int(line.split()[0]) for line in trained_again}
    # The rungs went on from what they held.
    final = SweepState(recorded_spec(after), record=lambda event: None)
    final.replay(after)
    for level, values in state.rungs.values.items():
        assert values.items() <= final.rungs.values[level].items()


@pytest.mark.slow
def test_the_driver_alone_killed_takes_its_workers_along_and_is_taken_up(spec_path, tmp_path):
    process = start(spec_path, tmp_path)
    wait_until(lambda: len(recorded(tmp_path, TrialEnded)) >= 2, timeout_s=120)
    family = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    _, err = process.communicate()
    assert family
    assert "the sweep ended early; go on with it by `ubn-sweep resume small`" in err
    finish(resume(tmp_path), tmp_path)
    check_whole(spec_path, tmp_path)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_while_the_sweep_goes_on(spec_path, tmp_path):
    log = tmp_path / "epochs.txt"
    process = start(spec_path, tmp_path, TEST_EPOCH_LOG=str(log))
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= 4, timeout_s=120)
    os.kill(int(log.read_text().splitlines()[-1].split()[2]), signal.SIGKILL)
    finish(process, tmp_path)
    check_whole(spec_path, tmp_path)


@pytest.mark.slow
def test_ctrl_c_leaves_a_sweep_that_can_be_resumed(spec_path, tmp_path):
    process = start(spec_path, tmp_path)
    wait_until(lambda: len(recorded(tmp_path, TrialEnded)) >= 2, timeout_s=120)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "ubn-sweep resume small" in err
    assert "Traceback" not in err
    finish(resume(tmp_path), tmp_path)
    check_whole(spec_path, tmp_path)


@pytest.mark.slow
def test_sigterm_ends_a_sweep_as_ctrl_c_does(spec_path, tmp_path):
    """Slurm and Kubernetes send it, and kill what is still there after their grace time."""
    process = start(spec_path, tmp_path)
    wait_until(lambda: len(recorded(tmp_path, TrialEnded)) >= 2, timeout_s=120)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.strip().splitlines()[-1] == "error: interrupted; go on with it by `ubn-sweep resume small`"
    assert "Traceback" not in err
    assert "Stack trace" not in err
    finish(resume(tmp_path), tmp_path)
    check_whole(spec_path, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_twenty_random_moments_it_ends_with_the_same_trials(spec_path, tmp_path):
    """Each life lasts a random while from its start, so that kills fall on start-up, training and the end alike."""
    rng = random.Random(20)
    slow = {"TEST_EPOCH_S": "2.0"}
    process = start(spec_path, tmp_path, **slow)
    for _ in range(20):
        try:
            _, err = process.communicate(timeout=rng.uniform(2.0, 14.0))
        except subprocess.TimeoutExpired:
            kill_all(process)
        else:  # this life saw the end of the sweep: the kills that are left fall on finished ones
            assert process.returncode == 0, err
        process = resume(tmp_path, **slow) if events_in(tmp_path) else start(spec_path, tmp_path, **slow)
    finish(process, tmp_path)
    check_whole(spec_path, tmp_path)
    before = folder_in(tmp_path).journal.read_text()
    assert run_cli(["resume", "small", "--json"], cwd=tmp_path).returncode == 0
    assert folder_in(tmp_path).journal.read_text() == before
