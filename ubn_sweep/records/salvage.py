"""A damaged journal made readable again: the whole records stay, the damaged file is set aside."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ubn_sweep.errors import UserError
from ubn_sweep.files import written_beside
from ubn_sweep.records.events import Event, FinalStarted, SweepStarted, TrialCreated, from_dict
from ubn_sweep.records.journal import JOURNAL_FILE

RECORD_BEGIN = b'{"event":"'


@dataclass(frozen=True, kw_only=True)
class Salvaged:
    """What was done."""

    kept: int
    """Records."""
    damaged: int
    """Lines, or parts of lines, that are no record."""
    orphaned: int
    """Records of trials whose own beginning, or that of a trial before them, is lost: numbers have no gaps."""
    aside: Path | None
    """The damaged file; None where nothing was damaged."""


def salvage(folder: Path) -> Salvaged:
    """Keeps the whole records of the journal in a folder, whose lock the caller holds.

    Copies go on from the start, since what had been delivered is not known any more: they take nothing twice.

    Raises:
        UserError: there is no journal, its beginning is lost, or the folder cannot be written.
    """
    path = folder / JOURNAL_FILE
    kept = damaged = orphaned = 0
    trials = 0
    try:
        with written_beside(path, to_disk=True) as beside:
            with path.open("rb") as old, beside.open("wb") as new:
                for text, event in _records(old):
                    if event is None:
                        damaged += 1
                    elif kept == 0 and not isinstance(event, SweepStarted | FinalStarted):
                        raise UserError(
                            f"{path}: does not begin with the record of a sweep or a final training, so nothing can "
                            "go on from it: take the folder from a backup, or run it anew"
                        )
                    elif _is_orphan(event, trials):
                        orphaned += 1
                    else:
                        trials += isinstance(event, TrialCreated)
                        kept += 1
                        new.write(text)
            aside = _set_aside(path, beside) if damaged or orphaned else None
            if aside is None:
                shutil.copystat(path, beside)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be salvaged ({error.strerror}): see that the folder is there and can be written"
        ) from error
    if aside is not None:
        for cursor in (folder / "delivered").glob("*.json"):
            cursor.unlink()
    return Salvaged(kept=kept, damaged=damaged, orphaned=orphaned, aside=aside)


def _records(lines: IO[bytes]) -> Iterator[tuple[bytes, Event | None]]:
    """Whole records with their text; None for what is none. A record may stand behind the half of another one."""
    for line in lines:
        starts = [0]
        while (found := line.find(RECORD_BEGIN, starts[-1] + 1)) >= 0:
            starts.append(found)
        for start in starts:
            event = _parsed(line[start:])
            if event is not None:
                if start > 0:
                    yield line[:start], None
                yield line[start:], event
                break
        else:
            yield line, None


def _parsed(text: bytes) -> Event | None:
    if not text.endswith(b"\n"):
        return None
    try:
        content = json.loads(text)
        return from_dict(content) if isinstance(content, dict) else None
    except (ValueError, AttributeError, TypeError):
        return None


def _is_orphan(event: Event, trials: int) -> bool:
    """`trials` are those begun before it."""
    number = getattr(event, "trial", None)
    if number is None or not isinstance(number, int) or hasattr(event, "sweep"):
        return False
    return number > trials if isinstance(event, TrialCreated) else number >= trials


def _set_aside(path: Path, beside: Path) -> Path:
    for count in itertools.count(1):
        aside = path.with_name(f"{path.stem}.damaged-{count}{path.suffix}")
        if not aside.exists():
            break
    try:
        os.link(path, aside)
    except OSError:  # a file system without links
        shutil.copy2(path, aside)
    beside.chmod(path.stat().st_mode & 0o777)
    return aside
