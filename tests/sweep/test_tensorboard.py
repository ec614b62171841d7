"""The event files, read back with TensorBoard itself."""

import json
import random

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from tests.support.processes import call_cli
from tests.tracking.builders import created, metrics, sweep_events, write_journal
from ubn_sweep.records.events import EpochReported, TrialCreated, TrialEnded
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import Journal
from ubn_sweep.tracking.delivery.deliver import Delivery
from ubn_sweep.tracking.delivery.sync import sync
from ubn_sweep.tracking.tensorboard import TensorBoardSink


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(home=tmp_path / "home", name="small")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "boards"


def read(root, trial):
    """What TensorBoard shows of a trial."""
    found = EventAccumulator(str(root / "small" / f"trial-{trial:04d}"), size_guidance={"scalars": 0})
    found.Reload()
    return found


def check(root, events):
    """Every metric of every epoch once, at its time, and every end once."""
    for trial in {event.trial for event in events if isinstance(event, TrialCreated)}:
        shown = read(root, trial)
        of_trial = [event for event in events if getattr(event, "trial", None) == trial]
        told = [event for event in of_trial if isinstance(event, EpochReported)]
        assert set(shown.Tags()["scalars"]) == {name for event in told for name in event.metrics}
        for name in shown.Tags()["scalars"]:
            points = shown.Scalars(name)
            assert [point.step for point in points] == [event.epoch for event in told]
            assert [point.wall_time for point in points] == pytest.approx([event.time_s for event in told])
            for point, event in zip(points, told, strict=True):
                wanted = event.metrics[name]
                assert point.value == pytest.approx(wanted, nan_ok=True)
        (ended,) = [event for event in of_trial if isinstance(event, TrialEnded)]
        content = shown.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
        end = HParamsPluginData.FromString(content).session_end_info
        assert end.end_time_secs == pytest.approx(ended.time_s)
        assert (end.status == api_pb2.STATUS_SUCCESS) == (ended.status in ("completed", "stopped"))


def settings_of(root, trial):
    content = read(root, trial).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    return {key: getattr(value, value.WhichOneof("kind")) for key, value in found.items()}


def test_tensorboard_shows_every_epoch_and_the_settings(folder, root):
    events = sweep_events(8)
    write_journal(folder.path, events)
    assert sync(folder, TensorBoardSink(folder, root)).delivered == len(events)
    check(root, events)
    for trial in range(4):
        wanted = {k: "null" if v is None else v for k, v in created(trial).params.items()}
        assert settings_of(root, trial) == pytest.approx(wanted | {"origin": created(trial).origin})


@pytest.mark.parametrize("seed", range(3))
def test_records_that_come_in_parts_and_twice_are_shown_once(folder, root, seed):
    """Processes end at random moments, before their cursor is written or after it."""
    events = sweep_events(8, seed=seed)
    write_journal(folder.path, events)
    dice = random.Random(seed)
    sink = TensorBoardSink(folder, root)
    for _ in range(6):
        kept = sink.cursor.read_bytes() if sink.cursor.exists() else None
        delivery = Delivery(folder, sink, batch_events=dice.randint(1, 12))
        delivery.open()
        for _ in range(dice.randint(1, 3)):
            delivery.deliver_batch()
        if dice.random() < 0.5 and kept is not None:
            sink.cursor.write_bytes(kept)
        sink = TensorBoardSink(folder, root)
    sync(folder, sink)
    check(root, events)
    sync(folder, TensorBoardSink(folder, root), from_start=True)
    check(root, events)


def test_more_trials_at_once_than_files_are_open(folder, root, monkeypatch):
    monkeypatch.setattr("ubn_sweep.tracking.tensorboard.MOST_OPEN", 2)
    first, *_ = sweep_events(0)
    events = [first, *(created(trial) for trial in range(6))]
    for epoch in (1, 2, 3):
        events += [
            EpochReported(time_s=float(epoch), trial=trial, epoch=epoch, metrics=metrics(trial, epoch))
            for trial in range(6)
        ]
    events += [TrialEnded(time_s=9.0, trial=trial, status="completed", epoch=3) for trial in range(6)]
    write_journal(folder.path, events[:1])
    sink = TensorBoardSink(folder, root)
    delivery = Delivery(folder, sink, batch_events=3)
    delivery.open()
    with Journal(folder.path) as journal:
        for event in events[1:]:
            journal.append(event)
            if delivery.deliver_batch():
                assert len(sink._boards) <= 2
    while delivery.deliver_batch():
        pass
    check(root, events)


def test_boards_that_were_deleted_are_written_again(folder, root):
    events = sweep_events(4)
    write_journal(folder.path, events)
    sync(folder, TensorBoardSink(folder, root))
    for path in sorted(root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert sync(folder, TensorBoardSink(folder, root)).delivered == len(events)
    check(root, events)


@pytest.mark.slow
def test_a_sweep_writes_boards_where_its_spec_says(write_spec, tmp_path):
    spec = write_spec(search={"trials": 2, "sampler": "random"}, tracking={"tensorboard": "boards"})
    done = call_cli(["run", str(spec), "--executor", "in-process", "--json"], cwd=tmp_path, TEST_EPOCH_S="0")
    assert sum(json.loads(done.stdout.splitlines()[-1])["trials"].values()) == 2
    assert read(tmp_path / "sweeps" / "boards", 0).Scalars("val_top1")
