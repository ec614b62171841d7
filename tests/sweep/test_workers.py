"""Trials of several workers: started, stopped, killed, resumed, on Ray and without it, with real exchanges."""

import os
from collections import Counter
from threading import Thread

import pytest
import yaml

from tests.support.processes import alive, wait_until
from ubn_sweep.errors import UserError
from ubn_sweep.export.configs import export_configs
from ubn_sweep.export.final import train_for_good
from ubn_sweep.records.events import EpochReported, SweepInterrupted, TrialCreated, TrialEnded, TrialFault
from ubn_sweep.records.folder import FinalFolder, SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.running.control import order_stop
from ubn_sweep.sweep.running.in_process import InProcessExecutor
from ubn_sweep.sweep.running.launch import Surroundings, resume_sweep, start_sweep
from ubn_sweep.sweep.spec.loading import load_spec
from ubn_sweep.training.loading import load_config

HERE = Surroundings(executor=InProcessExecutor())
FEW = {"trials": 4, "sampler": "random", "warm_starts": False}


@pytest.fixture
def pairs(tmp_path):
    """A spec of tests.support.pairs, with some keys replaced; trial n has the seed n."""

    def spec(**changes):
        content = {
            "name": "pairs",
            "task": "tests.support.pairs:Pairs",
            "base": {"training": {"epochs": 4, "batch_size": 16}},
            "space": {"norm.threshold": {"type": "float", "low": 0.0, "high": 0.6}},
            "search": FEW,
            "resources": {"workers_per_trial": 2},
        }
        (tmp_path / "pairs.yaml").write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
        return load_spec(tmp_path / "pairs.yaml")

    return spec


def of_kind(folder, kind):
    return [event for event in read_journal(folder) if isinstance(event, kind)]


def trained(log):
    """(seed, epoch, rank) and the process, line by line."""
    lines = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    return [line[:3] for line in lines], {line[3] for line in lines}


def metrics_of(folder):
    return {(event.trial, event.epoch): event.metrics for event in of_kind(folder, EpochReported)}


def test_trials_of_two_workers_in_this_process_end_as_they_are_told(pairs, tmp_path, monkeypatch):
    log = tmp_path / "epochs.txt"
    monkeypatch.setenv("TEST_EPOCH_LOG", str(log))
    result = start_sweep(pairs(), home=tmp_path, name=None, surroundings=HERE)
    assert (result.counts["completed"], result.counts["stopped"], result.counts["failed"]) == (3, 1, 0)
    epochs, processes = trained(log)
    ended = {event.trial: event.epoch for event in of_kind(result.folder, TrialEnded)}
    assert Counter(epochs) == Counter(
        (trial, epoch, rank) for trial in ended for epoch in range(1, ended[trial] + 1) for rank in (0, 1)
    )
    assert len(processes) == 2
    assert not any(alive(pid) for pid in processes - {os.getpid()})
    assert {event.workers for event in of_kind(result.folder, TrialCreated)} == {2}
    assert all(one["joint_batch_size"] == 32 for one in metrics_of(result.folder).values())


@pytest.mark.slow
def test_the_best_is_trained_for_good_by_as_many_workers_and_goes_on_when_one_was_killed(
    pairs, tmp_path, monkeypatch
):
    log = tmp_path / "epochs.txt"
    start_sweep(pairs(search={**FEW, "trials": 1}), home=tmp_path, name=None, surroundings=HERE)
    (path,) = export_configs(SweepFolder(home=tmp_path, name="pairs"), top=1, out=tmp_path / "configs")
    task, config = load_config(path)
    workers = config.provenance.workers
    assert workers == 2
    monkeypatch.setenv("TEST_EPOCH_LOG", str(log))
    whole = train_for_good(task, config, folder=FinalFolder(folder=tmp_path / "whole"), workers=workers)
    log.write_text("")
    log.with_suffix(".harm").write_text("0 3 kill")
    folder = FinalFolder(folder=tmp_path / "final")
    with pytest.raises(
        UserError, match=r"worker 1 of 2: its process .* died of signal 9: the same command goes on"
    ):
        train_for_good(task, config, folder=folder, workers=workers)
    final = train_for_good(task, config, folder=folder, workers=workers)
    assert (final.resumed_from, final.epochs) == (2, 4)
    assert final.test == whole.test
    epochs, processes = trained(log)
    assert epochs.count((0, 4, 1)) == 1
    assert not any(alive(pid) for pid in processes - {os.getpid()})


@pytest.mark.slow
def test_on_ray_processes_are_used_again_and_none_is_left(pairs, cluster, empty_log, epoch_log, tmp_path):
    result = start_sweep(pairs(), home=tmp_path, name=None)
    assert (result.counts["completed"], result.counts["stopped"], result.counts["failed"]) == (3, 1, 0)
    epochs, processes = trained(epoch_log)
    assert len(set(epochs)) == len(epochs)
    assert len(processes) == 2
    wait_until(lambda: not any(alive(pid) for pid in processes), timeout_s=60)


@pytest.mark.slow
def test_a_worker_that_is_killed_raises_or_hangs_costs_an_attempt(
    pairs, cluster, empty_log, epoch_log, tmp_path, monkeypatch
):
    """And the trial goes on from its checkpoint, bit for bit as if nothing had happened."""
    monkeypatch.setenv("TEST_EPOCH_LOG", str(epoch_log))
    whole = start_sweep(pairs(early_stopping=None), home=tmp_path / "whole", name=None, surroundings=HERE)
    epoch_log.write_text("")
    epoch_log.with_suffix(".harm").write_text("0 2 kill, 1 2 raise, 2 2 stop")
    spec = pairs(early_stopping=None, resources={"workers_per_trial": 2, "worker_timeout_s": 8})
    try:
        result = start_sweep(spec, home=tmp_path, name=None)
    finally:
        epoch_log.with_suffix(".harm").unlink()
    assert result.counts["completed"] == 4
    faults = {fault.trial: fault for fault in of_kind(result.folder, TrialFault)}
    assert {trial: (fault.kind, fault.epoch) for trial, fault in faults.items()} == {
        0: ("died", 1),
        1: ("error", 1),
        2: ("stuck", 1),
    }
    reasons = [faults[trial].reason.splitlines()[0] for trial in range(3)]
    assert reasons[0].startswith("worker 1 of 2: its process ")
    assert reasons[1] == "worker 1 of 2: ValueError: boom in epoch 2"
    assert reasons[2] == "worker 1 of 2 gave no answer for 8 s: it hangs, or is cut off"
    assert metrics_of(result.folder) == metrics_of(whole.folder)
    _, processes = trained(epoch_log)
    wait_until(lambda: not any(alive(pid) for pid in processes - {os.getpid()}), timeout_s=60)


def pause_after_an_epoch(folder):
    wait_until(lambda: folder.journal.exists() and of_kind(folder.path, EpochReported), timeout_s=60)
    order_stop(folder, "paused")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupted", "paused"])
def test_a_sweep_that_was_ended_goes_on_with_as_many_workers(pairs, tmp_path, monkeypatch, how):
    """Even where its spec says something else by then: other batches would make another trial."""
    log = tmp_path / "epochs.txt"
    monkeypatch.setenv("TEST_EPOCH_LOG", str(log))
    whole = start_sweep(
        pairs(early_stopping=None, search={**FEW, "trials": 1}),
        home=tmp_path / "whole",
        name=None,
        surroundings=HERE,
    )
    log.write_text("")
    folder = SweepFolder(home=tmp_path, name="pairs")
    if how == "interrupted":
        log.with_suffix(".harm").write_text("0 3 interrupt")
    else:
        monkeypatch.setenv("TEST_EPOCH_S", "0.5")
        Thread(target=pause_after_an_epoch, args=(folder,), daemon=True).start()
    spec = pairs(early_stopping=None, search={**FEW, "trials": 1})
    first = start_sweep(spec, home=tmp_path, name=None, surroundings=HERE)
    assert not first.finished
    assert [event.word for event in of_kind(folder.path, SweepInterrupted)] == [how]
    epochs, processes = trained(log)
    assert 0 < len(set(epochs)) < 8
    assert not any(alive(pid) for pid in processes - {os.getpid()})
    second = resume_sweep(folder, assignments=["resources.workers_per_trial=1"], surroundings=HERE)
    assert second.counts["completed"] == 1
    assert metrics_of(folder.path) == metrics_of(whole.folder)
