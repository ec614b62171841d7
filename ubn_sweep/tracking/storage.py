"""A sweep's records in its storage, which outlive the driver's disk: the journal in pieces, results beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ubn_sweep.certificates import in_a_line
from ubn_sweep.errors import UserError
from ubn_sweep.files import write_bytes
from ubn_sweep.records.events import Event, SweepStarted
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.storage import Storage

PIECE_BYTES = 2**20
"""A piece is written anew with each delivery until it is as long: few files, and little that is sent twice."""
PIECES = "journal"


class StorageSink:
    """Writes `PLACE/journal/000000000000.jsonl` and so on, each named by the byte that it begins with."""

    store = "storage"
    resumes_from = (SweepStarted,)

    def __init__(self, folder: SweepFolder, place: str) -> None:
        self.address = place
        self.cursor = folder.delivered("storage", place)
        self._folder = folder
        self._storage = Storage(place)
        self._begin = 0
        """Of the piece that still grows, in bytes."""

    def load(self) -> None:
        """All is imported since the storage was opened."""

    def resume(self, events: Iterable[Event]) -> bool:
        pieces = _pieces(self._storage)
        self._begin = 0
        with self._folder.journal.open("rb") as file:
            for begin, size in pieces:
                file.seek(begin)
                if begin != self._begin or file.read(size) != self._storage.read(_name(begin)):
                    raise self._other(begin)
                self._begin = begin + size
        self._begin = pieces[-1][0] if pieces else 0
        return bool(pieces)

    def deliver(self, events: Sequence[Event]) -> None:
        """Another process may have gone on with the sweep meanwhile: what it wrote is looked at first, and stays."""
        with self._folder.journal.open("rb") as file:
            while True:
                file.seek(self._begin)
                piece = file.read(PIECE_BYTES)
                is_full = len(piece) == PIECE_BYTES
                piece = piece[: piece.rfind(b"\n") + 1]
                if not piece and is_full:  # one record that is longer than a piece
                    file.seek(self._begin)
                    piece = file.readline()
                if not piece:
                    return
                name = _name(self._begin)
                if name in self._storage and not piece.startswith(self._storage.read(name)):
                    raise self._other(self._begin)
                self._storage.write(name, piece)
                if not is_full:
                    return
                self._begin += len(piece)

    def _other(self, begin: int) -> UserError:
        stored = _joined(self._storage, _pieces(self._storage)[:1]).partition(b"\n")[0]
        if _sweep_id(stored) != _sweep_id(_whole_lines(self._folder).partition(b"\n")[0]):
            return UserError(
                f"storage: {self.address} holds another sweep of this name: give this one another --name"
            )
        return UserError(
            f"storage: {self.address} holds other records of this sweep from byte {begin} on: another process went on "
            "with it (`ubn-sweep fetch` brings its records), or the journal was salvaged (remove the folder `journal` "
            "there, and it is copied anew)"
        )

    def attach(self, paths: Iterable[Path]) -> int:
        """Results go where `fetch` finds them."""
        there = [path for path in paths if path.exists()]
        for path in there:
            for file in (
                [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
            ):
                self._storage.upload(file, str(file.relative_to(self._folder.path)))
        return len(there)


def bring_newer(place: str, folder: SweepFolder) -> bool:
    """Where the storage holds a sweep's records beyond those here, brings them; whether it holds any.

    Raises:
        UserError: it is out of reach, or holds others.
    """
    storage = Storage(place)
    try:
        pieces = _pieces(storage)
        if pieces and not _whole_lines(folder).startswith(_joined(storage, pieces)):
            fetch_sweep(place, folder)
    except OSError as error:
        raise _out_of_reach(place, error) from error
    return bool(pieces)


def name_at(place: str) -> str:
    """The name of the sweep that lies at a place of its own."""
    return Path(place.partition("?")[0].rstrip("/")).name


def fetch_sweep(place: str, folder: SweepFolder) -> None:
    """Brings a sweep's records and results from its place in a storage; checkpoints and logs are read there.

    Raises:
        UserError: there is none, or another sweep of this name is here.
    """
    storage = Storage(place)
    try:
        pieces = _pieces(storage)
        if not pieces:
            there = ", ".join(sorted(storage.folders())) or "nothing"
            raise UserError(f"{place}: holds no sweep, but {there}: give a sweep's own URL, STORAGE/NAME")
        journal = _joined(storage, pieces)
        _check_older(folder, journal)
        write_bytes(folder.journal, journal, to_disk=True)
        results = {path.name for path in (*folder.results, folder.best)}
        for name in (name for result in results for name in _files_of(storage, result)):
            _download(storage, name, folder)
    except OSError as error:
        raise _out_of_reach(place, error) from error


def _check_older(folder: SweepFolder, journal: bytes) -> None:
    """What is here may only be the beginning of what is there."""
    own = _whole_lines(folder)
    if not journal.startswith(own):
        which = (
            "has records that the storage lacks"
            if own.startswith(journal)
            or _sweep_id(own.partition(b"\n")[0]) == _sweep_id(journal.partition(b"\n")[0])
            else "is another sweep"
        )
        raise UserError(f"{folder.path}: {which}: fetch into another --home, or go on with the one here")


def _whole_lines(folder: SweepFolder) -> bytes:
    """The journal without a last line that a kill cut short; nothing where there is none."""
    try:
        content = folder.journal.read_bytes()
    except FileNotFoundError:
        return b""
    return content[: content.rfind(b"\n") + 1]


def _out_of_reach(place: str, error: OSError) -> UserError:
    return UserError(
        f"{place}: cannot be read ({in_a_line(error)}): see that it is there, with credentials for it"
    )


def _download(storage: Storage, name: str, folder: SweepFolder) -> None:
    """Raises UserError where the name leads out of the sweep's folder."""
    target = (folder.path / name).resolve()
    if not target.is_relative_to(folder.path.resolve()):
        raise UserError(
            f"{storage.place}: holds a file `{name}`, which is no sweep's: nothing of it is taken"
        )
    storage.download(name, target)


def _files_of(storage: Storage, result: str) -> list[str]:
    """A result's name where it is a file, those below it where it is a folder."""
    return [result] if result in storage else list(storage.sizes(result))


def _pieces(storage: Storage) -> list[tuple[int, int]]:
    """(first byte, bytes) of the pieces, in order."""
    named = [
        (Path(name).stem, size) for name, size in storage.sizes(PIECES).items() if name.endswith(".jsonl")
    ]
    return sorted((int(begin), size) for begin, size in named if begin.isdigit())


def _joined(storage: Storage, pieces: Sequence[tuple[int, int]]) -> bytes:
    journal = b""
    for begin, _ in pieces:
        if begin != len(journal):
            raise UserError(
                f"{storage.place}: the journal lacks its bytes from {len(journal)} on: sync it once more"
            )
        journal += storage.read(_name(begin))
    return journal


def _name(begin: int) -> str:
    return f"{PIECES}/{begin:012d}.jsonl"


def _sweep_id(line: bytes) -> str | None:
    try:
        found = json.loads(line).get("sweep_id")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None
