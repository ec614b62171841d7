"""`preview` through the command line: what the machine holds, what an epoch takes, what will not be known."""

import dataclasses
import json
import os

import pytest

from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import REPOSITORY, call_cli

QUICKSTART = str(REPOSITORY / "search_spaces" / "digits.yaml")


def preview(cwd, *arguments):
    done = call_cli(["preview", QUICKSTART, "--json", *arguments], cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_no_more_at_once_than_this_machine_holds(tmp_path):
    cpus = len(os.sched_getaffinity(0))
    assert preview(tmp_path)["workers"] == cpus
    assert preview(tmp_path, "--set", "resources.max_concurrent=64")["workers"] == cpus
    assert preview(tmp_path, "--set", "resources.max_concurrent=1")["workers"] == 1
    assert preview(tmp_path, "--workers", "64")["workers"] == 64
    none = call_cli(["preview", QUICKSTART, "--set", "resources.cpus_per_trial=999"], cwd=tmp_path)
    assert (none.returncode, "holds none" in none.stderr, "--workers" in none.stderr) == (2, True, True)


def test_an_epoch_is_timed_when_asked(tmp_path):
    few = ["--set", "search.trials=4", "--set", "dataset.train_examples=64"]
    cost = preview(tmp_path, "--measure", *few)
    assert cost["epoch_s"] > 0
    hours = cost["epoch_s"] * cost["epochs"]["mean"] / 3600
    assert cost["trial_hours"]["mean"] == pytest.approx(hours)


@pytest.mark.slow
def test_what_so_few_trials_will_not_tell_is_said_before(tmp_path):
    assert preview(tmp_path, "--set", "search.trials=300")["cautions"] == []
    first, second = preview(tmp_path, "--set", "search.trials=10")["cautions"]
    assert "a curve takes 8" in first
    assert "10 trials, and it takes 16" in second
    ungated = preview(tmp_path, "--set", "search.trials=20", "--set", "norm.gate=false")
    assert all("curve" in line for line in ungated["cautions"])  # the space still varies the threshold


def test_curves_of_another_subject_are_warned_of(tmp_path):
    events = sweep_events(20)
    events[0] = dataclasses.replace(events[0], task={"subject": "resnet18 on cifar10"})
    write_sweep(tmp_path / "sweeps", events)
    (line, *_) = preview(tmp_path, "--curves-of", "made-up", "--set", "search.trials=300")["cautions"]
    assert line.startswith(
        "the curves of made-up are of resnet18 on cifar10, this sweep's will be of resnet8 on "
    )


def test_a_task_with_a_loop_of_its_own_cannot_be_timed(write_function_task):
    done = write_function_task()
    assert (done.returncode, "--epoch-seconds" in done.stderr) == (2, True)


@pytest.fixture
def write_function_task(tmp_path):
    def run():
        (tmp_path / "own.yaml").write_text(
            "name: own\ntask: tests.support.trainables:train\n"
            "space: {norm.threshold: {type: float, low: 0.1, high: 0.9}}\n"
        )
        return call_cli(["preview", "own.yaml", "--measure"], cwd=tmp_path)

    return run
