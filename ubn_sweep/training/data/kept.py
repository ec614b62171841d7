"""Decoded images in files of this machine, mapped into memory by all processes that train on them: one copy for all.

They lie in a folder of the user's own below the system's temporary one; `UBN_SWEEP_CACHE` names another, or is `off`.
Whatever is wrong with the folder, each process then decodes for itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ubn_sweep.file_lock import file_lock
from ubn_sweep.files import written_beside
from ubn_sweep.training.data.labelled import LabelledImages

VARIABLE, OFF = "UBN_SWEEP_CACHE", "off"
KEPT = 8
"""Sets of images; those that were used longest ago go first."""


def kept_folder() -> Path | None:
    """Where they lie; None where they are not wanted, or the folder is not the user's own."""
    wanted = os.environ.get(VARIABLE)
    if wanted == OFF or (
        not wanted and not hasattr(os, "getuid")
    ):  # whose folder it is cannot be told everywhere
        return None
    folder = Path(wanted) if wanted else Path(tempfile.gettempdir()) / f"ubn-sweep-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = folder.stat()
    except OSError:
        return None
    # Anybody may make a folder of this name there, and put images of theirs into it.
    return folder if wanted or (stat.st_uid == os.getuid() and stat.st_mode & 0o022 == 0) else None


def through_files(key: str, read: Callable[[], LabelledImages]) -> LabelledImages:
    """What `read` returns, decoded by one process and mapped by all. Never write into its pixels.

    Args:
        key: names the images, and all that they depend on; a file's name.
    """
    folder = kept_folder()
    if folder is None:
        return read()
    with contextlib.ExitStack() as stack:
        try:  # who comes second waits until the first has decoded
            stack.enter_context(file_lock(folder / f"{key}.lock", patience_s=-1))
        except OSError:
            return read()
        kept = _mapped(folder, key)
        if kept is not None:
            return kept
        images = read()
        _write(folder, key, images)
        return _mapped(folder, key) or images


def _mapped(folder: Path, key: str) -> LabelledImages | None:
    """None where they are not there, or damaged."""
    pixels, labels = folder / f"{key}.npy", folder / f"{key}.npz"
    try:
        mapped = np.load(
            pixels, mmap_mode="c"
        )  # private: what were written by mistake would stay in this process
        with np.load(labels) as file:
            found = LabelledImages(pixels=mapped, labels=file["labels"], num_classes=int(file["num_classes"]))
        os.utime(pixels)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return found


def _write(folder: Path, key: str, images: LabelledImages) -> None:
    """The pixels last: with them, all is there. Where there is no room for them and as much again, nothing."""
    try:
        if shutil.disk_usage(folder).free < 2 * images.pixels.nbytes:
            return
        with written_beside(folder / f"{key}.npz") as beside, beside.open("wb") as file:
            np.savez(file, labels=images.labels, num_classes=images.num_classes)
        with written_beside(folder / f"{key}.npy") as beside, beside.open("wb") as file:
            np.save(file, images.pixels)
        _drop_the_oldest(folder)
    except OSError:
        return


def _drop_the_oldest(folder: Path) -> None:
    """A process that has mapped one keeps it: its space is freed when the last one ends."""
    by_age = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for pixels in by_age[KEPT:]:
        for path in (pixels, pixels.with_suffix(".npz"), pixels.with_suffix(".lock")):
            path.unlink(missing_ok=True)
