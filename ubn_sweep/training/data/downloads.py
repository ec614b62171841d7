"""One published file, fetched with its sum checked: it is there whole, or not at all."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from ubn_sweep.files import written_beside
from ubn_sweep.progress import progress

BLOCK_BYTES = 1 << 16
TIMEOUT_S = 60.0
"""Without a byte."""


def download(addresses: Sequence[str], target: Path, *, md5: str) -> None:
    """Fetches a file from the first address that has it, unless it is there.

    Raises:
        OSError: none of them could be reached; that of the last one.
        RuntimeError: what came was not the file.
    """
    if target.is_file() and _md5(target) == md5:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    for place, address in enumerate(addresses, start=1):
        try:
            _fetch(address, target, md5)
            return
        except (OSError, RuntimeError):
            if place == len(addresses):
                raise


def _fetch(address: str, target: Path, md5: str) -> None:
    request = urllib.request.Request(address, headers={"User-Agent": "ubn-sweep"})
    found = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response, written_beside(target) as beside:
        with (
            progress(f"downloading {target.name}", total=response.length, unit="B") as advance,
            beside.open("wb") as file,
        ):
            while block := response.read(BLOCK_BYTES):
                file.write(block)
                found.update(block)
                advance(len(block))
        if found.hexdigest() != md5:
            raise RuntimeError(
                f"{address} is not the published file: its sum is {found.hexdigest()}, not {md5}"
            )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
