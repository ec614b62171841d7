"""A journal's table is the same, read a block at a time or event by event, whatever its lines are like."""

import dataclasses
import json
import math

import pytest

from tests.support.journals import START_S, sweep_events, write_sweep
from ubn_sweep.errors import UserError
from ubn_sweep.records import epoch_rows
from ubn_sweep.records.events import EpochReported, TrialEnded, TrialRetried
from ubn_sweep.records.journal import stream
from ubn_sweep.records.observations import observations, observations_of


def odd_events():
    """Trials that diverged, failed, were taken up again from an epoch, and reported one twice; a late metric."""
    events = sweep_events(6, stops=(), statuses={1: "diverged", 2: "failed", 4: "diverged"})
    again = []
    for event in events:
        if isinstance(event, TrialEnded) and event.trial == 3:
            end = event
            again += [
                TrialRetried(time_s=START_S + 900, trial=3, was="completed", epoch=4),
                reported(3, 5, 0.5),
                reported(3, 6, 0.25, late=math.inf),
                reported(3, 6, 0.75, late=-math.inf),
                dataclasses.replace(end, status="failed", epoch=6, reason="out of memory"),
                TrialRetried(time_s=START_S + 990, trial=2),
                reported(2, 1, 0.125, checkpoint="/somewhere"),
            ]
    return [*events, *again]


def reported(trial, epoch, value, *, checkpoint=None, **more):
    metrics = {"val_top1": value, **more}
    return EpochReported(
        time_s=START_S + 900 + epoch, trial=trial, epoch=epoch, metrics=metrics, checkpoint=checkpoint
    )


@pytest.mark.parametrize("size", [epoch_rows.BLOCK_BYTES, 700])
def test_blocks_of_lines_and_single_events_make_one_table(tmp_path, monkeypatch, size):
    monkeypatch.setattr(epoch_rows, "BLOCK_BYTES", size)
    monkeypatch.setattr(epoch_rows, "BLOCK_EVENTS", max(size // 300, 1))
    folder = write_sweep(tmp_path, odd_events())
    table = observations_of(folder.path)
    rows = table.to_pylist()
    assert str(rows) == str(observations(stream(folder.path)).to_pylist())  # NaN is not equal to itself
    assert table.schema == observations(stream(folder.path)).schema
    third = [
        (row["epoch"], row["metrics.val_top1"], row["metrics.late"]) for row in rows if row["trial"] == 3
    ]
    assert [epoch for epoch, *_ in third] == [1, 2, 3, 4, 5, 6]
    assert third[4:] == [(5, 0.5, None), (6, 0.75, -math.inf)]
    first = next(row for row in rows if row["trial"] == 1)
    assert math.isnan(first["metrics.val_top1"])
    assert first["metrics.late"] is None
    assert [row["epoch"] for row in rows if row["trial"] == 2] == [1]
    assert {row["last_epoch"] for row in rows if row["trial"] == 3} == {6}


def test_lines_of_another_writer_are_read(tmp_path):
    folder = write_sweep(tmp_path, sweep_events(3))
    expected = observations_of(folder.path)
    lines = [json.loads(line) for line in folder.journal.read_text().splitlines()]
    for place, line in enumerate(lines):
        if line["event"] == "epoch" and place % 2:
            lines[place] = {key: line[key] for key in sorted(line)} | {"of_a_later_version": "x"}
    folder.journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert observations_of(folder.path).equals(expected)


@pytest.mark.parametrize("broken", ['"epoch":', '"metrics":{"val_top1":tru}', "]"])
def test_a_broken_line_is_told_with_its_place(tmp_path, broken):
    folder = write_sweep(tmp_path, sweep_events(3))
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"event":"epoch"' in line and n > 5)
    lines[place] = f'{{"event":"epoch",{broken}}}\n'.encode()
    folder.journal.write_bytes(b"".join(lines))
    with pytest.raises(UserError, match=rf"byte {sum(map(len, lines[:place]))}: not a record .*salvage"):
        observations_of(folder.path)


def test_an_epoch_of_no_trial_is_refused(tmp_path):
    folder = write_sweep(tmp_path, [*sweep_events(2), reported(7, 1, 0.5)])
    with pytest.raises(UserError, match="tells of trial 7 before it began"):
        observations_of(folder.path)
