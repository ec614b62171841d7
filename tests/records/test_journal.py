"""The journal: what is written is read back, whatever happens in between."""

import math

import pytest

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
