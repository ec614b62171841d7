"""The journal: what is written is read back, whatever happens in between."""

import errno
import math
import os
import resource
import subprocess
import sys
import threading

import pytest

from tests.support.disks import small_disk
from tests.support.processes import REPOSITORY, wait_until
from ubn_sweep.errors import UserError
from ubn_sweep.records.events import (
    EpochReported,
    PriorTrial,
    SweepEnded,
    SweepStarted,
    TrialCreated,
    TrialEnded,
    from_dict,
)
from ubn_sweep.records.journal import Journal, read_from, read_journal
from ubn_sweep.records.salvage import salvage

EVENTS = [
    SweepStarted(time_s=1.5, sweep_id="a", name="é", spec={"space": {"norm.gate": {"values": [True, None]}}}),
    PriorTrial(time_s=2.0, sweep="b", trial=3, params={"x": 1}, values={1: 0.5, 9: 0.25}, status="stopped"),
    TrialCreated(time_s=3.0, trial=0, params={"norm.scaling": None}, config={"seed": 0}, origin="auto"),
    EpochReported(time_s=4.0, trial=0, epoch=1, metrics={"val_top1": 0.1, "similarity/a.b": 1e-12}),
    TrialEnded(time_s=5.0, trial=0, status="failed", epoch=1, reason="two\nlines"),
    SweepEnded(time_s=6.0),
]


@pytest.fixture
def folder(tmp_path):
    with Journal(tmp_path) as journal:
        for event in EVENTS:
            journal.append(event)
    return tmp_path


def test_events_come_back_as_they_were(folder):
    assert read_journal(folder) == EVENTS


def test_numbers_that_json_does_not_have_come_back(folder):
    with Journal(folder) as journal:
        journal.append(
            EpochReported(
                time_s=7.0, trial=0, epoch=2, metrics={"a": math.nan, "b": math.inf, "c": -math.inf}
            )
        )
    metrics = read_journal(folder)[-1].metrics
    assert math.isnan(metrics["a"])
    assert (metrics["b"], metrics["c"]) == (math.inf, -math.inf)


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_line_that_a_kill_cut_short_is_passed_over_and_removed(folder, cut):
    path = folder / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_journal(folder) == EVENTS[:-1]
    with Journal(folder) as journal:
        journal.append(EVENTS[-1])
    assert read_journal(folder) == EVENTS


def test_reading_goes_on_from_an_offset(folder):
    offsets = [offset for _, offset in read_from(folder, 0)]
    for index, offset in enumerate(offsets):
        assert [event for event, _ in read_from(folder, offset)] == EVENTS[index + 1 :]


def test_a_damaged_line_in_the_midst_is_named(folder):
    path = folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"{oops\n", *lines[3:]]))
    with pytest.raises(UserError, match=rf"byte {len(lines[0]) + len(lines[1])}: not a record"):
        read_journal(folder)


def test_no_journal_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_journal(tmp_path)


def test_records_of_a_later_version_are_read_and_unknown_kinds_refused():
    assert from_dict({"event": "sweep_end", "time_s": 1.0, "new_field": 2}) == SweepEnded(time_s=1.0)
    with pytest.raises(ValueError, match="unknown kind of record 'nonsense'; known: sweep, attempt"):
        from_dict({"event": "nonsense"})
    with pytest.raises(ValueError, match="lacks a field"):
        from_dict({"event": "end", "time_s": 1.0})


def epoch(number, size=0):
    """An epoch's report of a certain length."""
    return EpochReported(time_s=9.0, trial=0, epoch=number, metrics={"x" * size: 0.5})


def append_many(journal):
    for number in range(1, 100):
        journal.append(epoch(number, 3000))


def append_until_full(folder):
    """Appends in a process of its own whose files may hold 64 KiB; tells what the last append raised."""
    code = (
        "import sys; from pathlib import Path; from tests.records.test_journal import epoch\n"
        "from ubn_sweep.records.journal import Journal\n"
        "with Journal(Path(sys.argv[1])) as journal:\n"
        "    for number in range(1, 100):\n"
        "        try: journal.append(epoch(number, 3000))\n"
        "        except Exception as error: print(type(error).__name__, error)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path):
    """A file system of 64 KiB."""
    with small_disk(tmp_path, "64k") as disk:
        yield disk


def test_a_full_disk_leaves_whole_records_and_says_one_line(small_disk):
    folder = small_disk / "held"
    folder.mkdir()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(32768))
    with Journal(folder) as journal:
        with pytest.raises(UserError, match=r"free space, then `ubn-sweep resume held`") as caught:
            append_many(journal)
        assert "\n" not in str(caught.value)
        ballast.unlink()
        # One record is missing by now, so none may follow: the sweep goes on from the journal.
        with pytest.raises(UserError, match="free space"):
            journal.append(epoch(100))
    written = [event.epoch for event in read_journal(folder)]
    assert written == list(range(1, len(written) + 1))
    with Journal(folder) as journal:
        journal.append(epoch(100))
    assert len(read_journal(folder)) == len(written) + 1


def test_a_short_write_is_never_followed_by_a_record(tmp_path):
    lines = append_until_full(tmp_path)
    assert "UserError" in lines[0]
    assert os.strerror(errno.EFBIG) in lines[0]
    events = read_journal(tmp_path)
    assert [event.epoch for event in events] == list(range(1, len(events) + 1))
    assert len(lines) == 99 - len(events)
    assert (tmp_path / "journal.jsonl").read_bytes().endswith(b"\n")


def test_a_quiet_journal_is_synced_without_a_further_record(tmp_path, monkeypatch):
    synced, real = [], os.fsync
    monkeypatch.setattr("ubn_sweep.records.journal.SYNC_INTERVAL_S", 0.01)
    monkeypatch.setattr(os, "fsync", lambda number: (real(number), synced.append(number)))
    with Journal(tmp_path) as journal:
        assert len(synced) == 1  # the folder, which names the new file
        journal.append(EVENTS[0])
        wait_until(lambda: len(synced) >= 2, timeout_s=30)


def test_a_sync_that_fails_is_told_by_the_next_record(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    monkeypatch.setattr("ubn_sweep.records.journal.SYNC_INTERVAL_S", 0.01)

    def fail(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)

    def refused():
        try:
            journal.append(epoch(1))
        except UserError as error:
            return "Input/output error" in str(error)
        return False

    wait_until(refused, timeout_s=30)
    with pytest.raises(UserError, match="Input/output error"):
        journal.close()


def test_a_long_torn_line_is_removed(folder):
    path = folder / "journal.jsonl"
    with path.open("ab") as file:
        file.write(b"x" * 1_000_000)
    Journal(folder).close()
    assert read_journal(folder) == EVENTS


def test_only_the_kinds_asked_for_are_read(folder):
    found = [event for event, _ in read_from(folder, 0, kinds=(TrialEnded, SweepStarted))]
    assert found == [EVENTS[0], EVENTS[4]]
    (folder / "journal.jsonl").write_text('{"time_s": 6.0, "event": "sweep_end"}\n')
    assert [event for event, _ in read_from(folder, 0, kinds=(SweepEnded,))] == [SweepEnded(time_s=6.0)]


def test_salvage_keeps_the_whole_records(folder):
    path = folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    # What a short write left: half a record, and the next one behind it.
    damaged = b"".join([*lines[:3], lines[3][:25], lines[4], b"\0\0\0\n", *lines[5:], lines[5][:9]])
    path.write_bytes(damaged)
    done = salvage(folder)
    assert read_journal(folder) == [*EVENTS[:3], *EVENTS[4:]]
    assert (done.kept, done.damaged) == (5, 3)
    assert done.aside is not None
    assert done.aside.read_bytes() == damaged


def test_salvage_leaves_out_trials_whose_beginning_is_lost(folder):
    path = folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    later = TrialCreated(time_s=3.5, trial=1, params={}, config={}, origin="auto")
    path.write_bytes(b"".join([*lines[:2], b"{oops\n", *lines[3:]]))
    with Journal(folder) as journal:
        journal.append(later)
    done = salvage(folder)
    assert read_journal(folder) == [*EVENTS[:2], EVENTS[5]]
    assert done.orphaned == 3


def test_salvage_leaves_a_whole_journal_alone(folder):
    done = salvage(folder)
    assert (done.kept, done.damaged, done.aside) == (6, 0, None)
    assert sorted(path.name for path in folder.iterdir()) == ["journal.jsonl"]


def test_salvage_needs_the_first_record(folder):
    path = folder / "journal.jsonl"
    path.write_bytes(b"\0" + path.read_bytes().partition(b"\n")[2])
    before = path.read_bytes()
    with pytest.raises(UserError, match="begin"):
        salvage(folder)
    assert path.read_bytes() == before


def test_it_closes_while_its_timer_forgets_what_it_was_told(tmp_path):
    """The timer's thread looks whether it ends, and then clears what `close` has said meanwhile."""

    class HeldEvent(threading.Event):
        """One that is cleared when the test lets it."""

        reached, released = threading.Event(), threading.Event()

        def clear(self):
            self.reached.set()
            self.released.wait(30)
            super().clear()

    journal = Journal(tmp_path)
    before, journal._unsynced = journal._unsynced, HeldEvent()
    before.set()
    assert HeldEvent.reached.wait(30)
    closing = threading.Thread(target=journal.close, daemon=True)
    closing.start()
    assert journal._closing.wait(30)
    wait_until(journal._unsynced.is_set, timeout_s=30)
    HeldEvent.released.set()
    closing.join(30)
    assert not closing.is_alive()
