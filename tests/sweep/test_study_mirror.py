"""The mirror read back with Optuna itself."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from tests.tracking.builders import (
    SPEC,
    STATUS_OF,
    created,
    metrics,
    started,
    sweep_events,
    trial_events,
    write_journal,
)
from ubn_sweep.records.events import EpochReported, SweepStarted, TrialEnded, TrialRetried
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal
from ubn_sweep.tracking.delivery.deliver import Delivery
from ubn_sweep.tracking.optuna.mirror import StudyMirror, study_name

REPOSITORY = Path(__file__).parents[2]
STATE_OF = {"completed": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL", "diverged": "FAIL"}


def distributions(params):
    known = {
        "norm.gate": CategoricalDistribution([True, False]),
        "norm.scaling": CategoricalDistribution(["representative", "instance", None]),
        "training.batch_size": CategoricalDistribution([32, 64]),
        "norm.threshold": FloatDistribution(0.0, 1.0),
    }
    return params, {key: known[key] for key in params}


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path, name="small")


def mirror(folder):
    return StudyMirror(folder, folder.default_study_storage, distributions)


def deliver_all(folder, batch_events=500):
    sink = mirror(folder)
    delivery = Delivery(folder, sink, batch_events=batch_events)
    while delivery.deliver_batch():
        pass


def load(folder, first=None):
    return optuna.load_study(study_name=study_name(first or started()), storage=folder.default_study_storage)


def contents(study):
    return [
        (
            trial.number,
            trial.state.name,
            trial.value,
            trial.params,
            str(trial.intermediate_values),
            trial.user_attrs,
        )
        for trial in study.trials
    ]


def check(study, trials):
    assert [trial.number for trial in study.trials] == list(range(trials))
    for trial in study.trials:
        status = STATUS_OF[trial.number % 4]
        last = {"completed": 4, "stopped": 2, "failed": 0, "diverged": 1}[status]
        assert trial.state.name == STATE_OF[status]
        assert trial.params == created(trial.number).params
        assert list(trial.intermediate_values) == list(range(1, last + 1))
        assert trial.user_attrs["status"] == status
        assert trial.user_attrs["trial"] == trial.number
        if status in ("completed", "stopped"):
            values = [metrics(trial.number, epoch)["val_top1"] for epoch in range(1, last + 1)]
            assert list(trial.intermediate_values.values()) == values
            assert trial.value == values[-1]


@pytest.mark.parametrize("batch_events", [1, 7, 500])
def test_states_values_and_numbers(folder, batch_events):
    write_journal(folder.path, sweep_events(12))
    deliver_all(folder, batch_events)
    study = load(folder)
    check(study, 12)
    assert study.direction.name == "MAXIMIZE"
    assert study.best_trial.user_attrs["status"] == "completed"
    assert math.isnan(study.trials[3].intermediate_values[1])
    assert study.trials[1].user_attrs["reason"] == "made up: stopped"
    assert study.trials[0].user_attrs["origin"] == "warm start: paper"


def test_a_running_sweep_is_there_at_once(folder):
    write_journal(folder.path, [started(), *trial_events(0)[:3]])
    deliver_all(folder)
    trial = load(folder).trials[0]
    assert trial.state == TrialState.RUNNING
    assert list(trial.intermediate_values) == [1, 2]
    assert trial.datetime_start.timestamp() == pytest.approx(trial_events(0)[0].time_s, abs=1)


def test_bulk_delivery_keeps_the_journals_times(folder):
    events = sweep_events(4)
    write_journal(folder.path, events)
    deliver_all(folder)
    first = load(folder).trials[0]
    assert first.datetime_start.timestamp() == pytest.approx(trial_events(0)[0].time_s, abs=1)
    assert first.datetime_complete.timestamp() == pytest.approx(trial_events(0)[-1].time_s, abs=1)


@pytest.mark.parametrize("lose_cursor", [True, False])
def test_delivered_again_changes_nothing(folder, lose_cursor):
    write_journal(folder.path, sweep_events(8))
    deliver_all(folder, 3)
    before = contents(load(folder))
    if lose_cursor:
        mirror(folder).cursor.unlink()
    deliver_all(folder, 5)
    assert contents(load(folder)) == before


@pytest.mark.parametrize("batch_events", [1, 7, 500])
def test_a_failed_trial_that_is_tried_again_is_another_one_of_the_study(folder, batch_events):
    failed = [event for event in trial_events(2) if not isinstance(event, EpochReported)]
    assert failed[-1].status == "failed"
    begin = [started(), *trial_events(0), *trial_events(1), *failed]
    write_journal(folder.path, begin)
    deliver_all(folder, batch_events)
    again = [TrialRetried(time_s=failed[-1].time_s + 1, trial=2)]
    again += [
        EpochReported(time_s=failed[-1].time_s + 1 + epoch, trial=2, epoch=epoch, metrics=metrics(2, epoch))
        for epoch in range(1, 5)
    ]
    again += [TrialEnded(time_s=failed[-1].time_s + 9, trial=2, status="completed", epoch=4)]
    with Journal(folder.path) as journal:
        for event in again:
            journal.append(event)
    deliver_all(folder, batch_events)
    study = load(folder)
    assert [(trial.user_attrs["trial"], trial.state.name) for trial in study.trials] == [
        (0, "COMPLETE"),
        (1, "PRUNED"),
        (2, "FAIL"),
        (2, "COMPLETE"),
    ]
    assert list(study.trials[3].intermediate_values) == [1, 2, 3, 4]
    before = contents(study)
    mirror(folder).cursor.unlink()
    deliver_all(folder, batch_events)
    assert contents(load(folder)) == before


def test_a_storage_that_was_deleted_is_filled_again(folder):
    write_journal(folder.path, sweep_events(8))
    deliver_all(folder)
    Path(folder.default_study_storage.removeprefix("sqlite:///")).unlink()
    deliver_all(folder)
    check(load(folder), 8)


def test_sweeps_of_one_name_do_not_share_a_study(folder, tmp_path):
    other = SweepFolder(home=tmp_path, name="other")
    second = started(sweep_id="f" * 32)
    similar = started(sweep_id="f" * 8 + "0" * 24)
    for each, first in (
        (folder, started()),
        (other, second),
        (SweepFolder(home=tmp_path, name="third"), similar),
    ):
        write_journal(each.path, sweep_events(4, first=first))
        deliver_all(each)
    assert sorted(optuna.get_all_study_names(folder.default_study_storage)) == sorted(
        [study_name(started()), study_name(second), f"small-{similar.sweep_id}"]
    )
    for first in (started(), second):
        check(load(folder, first), 4)


def test_min_and_an_objective_that_is_missing(folder):
    spec = {**SPEC, "objective": {"metric": "absent", "mode": "min"}}
    first = SweepStarted(time_s=1.0, sweep_id="a" * 32, name="small", spec=spec)
    write_journal(folder.path, sweep_events(4, first=first))
    deliver_all(folder)
    study = load(folder, first)
    assert study.direction.name == "MINIMIZE"
    assert [trial.state.name for trial in study.trials] == ["FAIL", "PRUNED", "FAIL", "FAIL"]


DELIVER = """
import sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from tests.sweep.test_study_mirror import SweepFolder, deliver_all
print("ready", flush=True)
deliver_all(SweepFolder(home=Path({home!r}), name="small"), 2)
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_the_same(folder):
    write_journal(folder.path, sweep_events(16))
    code = DELIVER.format(repository=str(REPOSITORY), home=str(folder.home))
    generator = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=REPOSITORY)
        process.stdout.readline()
        time.sleep(generator.uniform(0.05, 1.2))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    deliver_all(folder)
    check(load(folder), 16)
