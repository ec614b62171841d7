"""Sweeps in this very process: without Ray, one trial after another, and otherwise the same."""

import subprocess
import sys

import pytest

from tests.support.processes import REPOSITORY
from ubn_sweep.records.correctness import unpacked
from ubn_sweep.records.events import EpochReported, TrialCreated, TrialEnded
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, resume_sweep, start_sweep
from ubn_sweep.sweep.running.ray.environment import prepare_ray_environment
from ubn_sweep.sweep.running.ray.executor import RayExecutor

HERE = Surroundings(executor=InProcessExecutor())


def facts(result):
    """What a sweep did, times aside."""
    events = read_journal(result.folder)
    created = [(e.trial, e.params, e.origin) for e in events if isinstance(e, TrialCreated)]
    epochs = [(e.trial, e.epoch, e.metrics) for e in events if isinstance(e, EpochReported)]
    ended = [(e.trial, e.status, e.epoch) for e in events if isinstance(e, TrialEnded)]
    return created, epochs, ended


@pytest.mark.slow
def test_it_decides_as_on_ray(small_spec, tmp_path):
    spec = small_spec(resources={"max_concurrent": 1})
    here = start_sweep(spec, home=tmp_path / "here", name=None, surroundings=HERE)
    prepare_ray_environment(local=True)
    on_ray = Surroundings(executor=RayExecutor(cpus=1))
    there = start_sweep(spec, home=tmp_path / "there", name=None, surroundings=on_ray)
    assert here.finished
    assert facts(here) == facts(there)
    assert here.counts["stopped"] > 0
    assert not (here.folder / "checkpoints").exists()


def test_each_fault_is_recorded_as_what_it_was(small_spec, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_EPOCH_LOG", str(tmp_path / "epochs.txt"))
    spec = small_spec(
        task="tests.support.trainables:train_with_faults", search={"trials": 4}, early_stopping=None
    )
    result = start_sweep(spec, home=tmp_path, name=None, surroundings=HERE)
    assert result.finished
    assert (result.counts["completed"], result.counts["failed"], result.counts["diverged"]) == (2, 1, 1)


def test_a_metric_that_is_no_number_fails_its_trial_alone(small_spec, tmp_path):
    spec = small_spec(task="tests.support.trainables:report_words_in_trial_1", search={"trials": 3})
    result = start_sweep(spec, home=tmp_path, name=None, surroundings=HERE)
    ended = {event.trial: event for event in read_journal(result.folder) if isinstance(event, TrialEnded)}
    assert ended[1].status == "failed"
    assert "the metric `note` must be a number, but got 'fine'" in ended[1].reason
    assert result.counts["failed"] == 1


def test_what_a_trial_got_right_is_recorded_with_its_end(small_spec, tmp_path):
    """Of its last epoch alone, wherever early stopping ends it."""
    spec = small_spec(task="tests.support.trainables:tell_what_was_right", search={"trials": 6})
    result = start_sweep(spec, home=tmp_path, name=None, surroundings=HERE)
    ended = [event for event in read_journal(result.folder) if isinstance(event, TrialEnded)]
    assert {event.status for event in ended} == {"completed", "stopped"}
    for event in ended:
        assert unpacked(event.correct).tolist() == [[place < event.epoch for place in range(4)]]


def test_an_interrupt_leaves_it_resumable(small_spec, tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_INTERRUPT_AT", "2 3")  # trial 2, epoch 3
    spec = small_spec(task="tests.support.trainables:interrupt", search={"trials": 4, "sampler": "random"})
    first = start_sweep(spec, home=tmp_path, name="held", surroundings=HERE)
    assert not first.finished
    monkeypatch.delenv("TEST_INTERRUPT_AT")
    from ubn_sweep.records.folder import SweepFolder

    second = resume_sweep(SweepFolder(home=tmp_path, name="held"), surroundings=HERE)
    assert second.finished
    reports = [(e.trial, e.epoch) for e in read_journal(second.folder) if isinstance(e, EpochReported)]
    assert len(reports) == len(set(reports))


@pytest.mark.parametrize("module", ["ray", "torch"])
def test_it_needs_no_ray(module, write_spec, tmp_path):
    """The test's trials train nothing: so not even torch is imported."""
    code = (
        "import sys; from pathlib import Path; from ubn_sweep.sweep.spec.loading import load_spec\n"
        "from ubn_sweep.sweep.running.in_process import InProcessExecutor\n"
        "from ubn_sweep.sweep.running.launch import Surroundings, start_sweep\n"
        f"spec = load_spec(Path({str(write_spec(search={'trials': 2}))!r}))\n"
        "start_sweep(spec, home=Path('sweeps'), name=None, surroundings=Surroundings(executor=InProcessExecutor()))\n"
        f"sys.exit({module!r} in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(REPOSITORY)}, check=False
    )
    assert done.returncode == 0
