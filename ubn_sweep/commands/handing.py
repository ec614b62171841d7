"""A sweep's records and results through what a job prints, where no storage holds them: packed there, unpacked here."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
import zlib
from pathlib import Path

from ubn_sweep.commands.common import home_folder
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder, find_sweep

BEGIN, END = "@ubn-sweep-parcel-begin", "@ubn-sweep-parcel-end"
LINE = 4096
MOST_BYTES = 200 * 2**20
MOST_UNPACKED_BYTES = 20 * MOST_BYTES
"""A journal shrinks to a tenth or so; what grows by more fills disks."""


def hand_over(sweep: str, *, home: Path | None) -> None:
    """Prints a sweep's journal and results as text.

    Raises:
        UserError: there is none, or it is too large for that way.
    """
    folder = find_sweep(sweep, home_folder(home))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in (folder.journal, *folder.results):
            if path.exists():
                archive.add(path, arcname=path.name)
    if packed.tell() > MOST_BYTES:
        raise UserError(
            f"{folder.path}: has {packed.tell() >> 20} MB, too much for this way: give the sweep a `storage`, or copy "
            "the folder"
        )
    text = base64.b64encode(packed.getvalue()).decode()
    print(BEGIN)
    for begin in range(0, len(text), LINE):
        print(text[begin : begin + LINE])
    print(END, flush=True)


def take_over(log: str, folder: SweepFolder) -> None:
    """Unpacks what `hand_over` printed: a sweep's own files alone, wherever else names may lead.

    Raises:
        UserError: it is not whole, or nothing that `hand_over` prints.
    """
    text = log.partition(BEGIN)[2].partition(END)
    if not text[1]:
        raise UserError(f"{folder.name}: did not arrive whole: fetch it again")
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        _unpack(base64.b64decode("".join(text[0].split())), folder)
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{folder.name}: what the cluster sent is no sweep ({type(error).__name__}): fetch it again"
        ) from error


def _unpack(packed: bytes, folder: SweepFolder) -> None:
    known, unpacked = {path.name for path in (folder.journal, *folder.results)}, 0
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive:
            unpacked += member.size
            if unpacked > MOST_UNPACKED_BYTES:
                raise UserError(
                    f"{folder.name}: unpacks to more than {MOST_UNPACKED_BYTES >> 20} MB: the cluster is not to be "
                    "trusted, or the sweep too large for this way: give it a `storage`"
                )
            is_plain = member.isfile() or member.isdir()  # no link, no device
            if is_plain and known.intersection(Path(member.name).parts[:1]):
                _extract(archive, member, folder)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: SweepFolder) -> None:
    if not (folder.path / member.name).resolve().is_relative_to(folder.path.resolve()):
        raise UserError(
            f"{folder.name}: `{member.name}` leads out of the sweep's folder: the cluster is not to be trusted"
        )
    archive.extract(member, folder.path, filter="data")
