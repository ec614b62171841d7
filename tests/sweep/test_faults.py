"""What goes wrong in a trial stays in that trial, is tried again, and is told as what it was: on a real cluster."""

from collections import Counter

import pytest

from tests.support.processes import call_cli, run_cli
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import EpochReported, TrialEnded, TrialFault
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.running.launch import start_sweep

pytestmark = pytest.mark.usefixtures("cluster", "empty_log")


def of_kind(folder, kind):
    return [event for event in read_journal(folder) if isinstance(event, kind)]


@pytest.mark.slow
def test_a_process_that_went_bad_is_not_used_again(small_spec, tmp_path):
    spec = small_spec(
        task="tests.support.trainables:spoil_the_process",
        search={"trials": 8, "sampler": "random"},
        early_stopping=None,
    )
    result = start_sweep(spec, home=tmp_path, name=None)
    assert result.counts == {"completed": 8, "stopped": 0, "failed": 0, "diverged": 0}
    (fault,) = of_kind(result.folder, TrialFault)
    assert (fault.trial, fault.kind, fault.epoch) == (1, "error", 2)
    assert fault.reason.startswith("RuntimeError: CUDA error: an illegal memory access")
    reports = Counter((event.trial, event.epoch) for event in of_kind(result.folder, EpochReported))
    assert set(reports.values()) == {1}


@pytest.mark.slow
def test_a_slow_teardown_costs_no_other_trial(small_spec, tmp_path):
    spec = small_spec(
        task="tests.support.trainables:tear_down_slowly", search={"trials": 5, "sampler": "random"}
    )
    result = start_sweep(spec, home=tmp_path, name=None)
    assert result.finished
    assert sum(result.counts.values()) == 5
    assert result.counts["failed"] == 0
    assert result.counts["stopped"] > 0


@pytest.mark.slow
def test_a_trial_whose_process_never_lets_go_costs_no_other_trial(small_spec, tmp_path):
    spec = small_spec(task="tests.support.trainables:never_let_go", search={"trials": 4, "sampler": "random"})
    result = start_sweep(spec, home=tmp_path, name=None)
    assert result.finished
    assert result.counts["failed"] == 0


@pytest.mark.slow
def test_a_trial_that_hangs_or_crashes_leaves_a_trace(small_spec, tmp_path):
    spec = small_spec(
        task="tests.support.trainables:hang_or_crash",
        search={"trials": 4, "sampler": "random"},
        resources={"epoch_timeout_s": 4, "worker_deaths": 1},
        early_stopping=None,
    )
    result = start_sweep(spec, home=tmp_path, name=None)
    ended = {event.trial: event for event in of_kind(result.folder, TrialEnded)}
    assert [ended[trial].status for trial in range(4)] == ["completed", "completed", "failed", "completed"]
    faults = {(fault.trial, fault.kind): fault for fault in of_kind(result.folder, TrialFault)}
    assert faults.keys() == {(1, "stuck"), (2, "died")}
    assert faults[1, "stuck"].reason.startswith("it reported nothing for 4 s")
    assert ended[2].reason.startswith("its worker died 2 times: ")
    assert "raylet.pyx" not in ended[2].reason.splitlines()[0]
    assert "Segmentation fault" in ended[2].reason

    folder = SweepFolder(home=tmp_path, name=result.sweep)
    assert "wait_for_ever" in folder.log(1).read_text()
    assert "in before_epoch" in folder.log(2).read_text()
    printed = run_cli(["logs", result.sweep, "3", "-f", "--home", str(tmp_path)], cwd=tmp_path)
    assert "this is trial 3" in printed.stdout
    absent = call_cli(["logs", result.sweep, "9", "--home", str(tmp_path)], cwd=tmp_path)
    assert absent.returncode == 2
    assert "trial 9 of small has no log; there are those of 0, 1, 2, 3" in absent.stderr


@pytest.mark.slow
def test_a_trial_sees_no_gpu_that_it_does_not_take(small_spec, tmp_path):
    spec = small_spec(task="tests.support.trainables:print_its_devices", search={"trials": 1})
    result = start_sweep(spec, home=tmp_path, name=None)
    assert "devices: ''" in SweepFolder(home=tmp_path, name=result.sweep).log(0).read_text()


@pytest.mark.slow
def test_what_no_machine_holds_is_refused(small_spec, tmp_path):
    for resources in ({"cpus_per_trial": 99}, {"gpus_per_trial": 1}):
        with pytest.raises(
            UserError, match=r"a trial takes .*, but this machine has 2 processors and 0 GPUs"
        ):
            start_sweep(small_spec(resources=resources), home=tmp_path, name=None)
