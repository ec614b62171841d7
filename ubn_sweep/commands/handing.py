"""A sweep's records and results through what a job prints, where no storage holds them: packed there, unpacked here."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

from ubn_sweep.commands.common import home_folder
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import SweepFolder, find_sweep

BEGIN, END = "@ubn-sweep-parcel-begin", "@ubn-sweep-parcel-end"
LINE = 4096
MOST_BYTES = 200 * 2**20


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
        UserError: it is not whole.
    """
    text = log.partition(BEGIN)[2].partition(END)
    if not text[1]:
        raise UserError(f"{folder.name}: did not arrive whole: fetch it again")
    known = {path.name for path in (folder.journal, *folder.results)}
    folder.path.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode("".join(text[0].split()))), mode="r:gz") as archive:
        for member in archive:
            if Path(member.name).parts[0] in known and (member.isfile() or member.isdir()):
                _extract(archive, member, folder)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: SweepFolder) -> None:
    if not (folder.path / member.name).resolve().is_relative_to(folder.path.resolve()):
        raise UserError(
            f"{folder.name}: `{member.name}` leads out of the sweep's folder: the cluster is not to be trusted"
        )
    archive.extract(member, folder.path, filter="data")
