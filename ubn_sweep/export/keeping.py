"""The bundles of a sweep in its own folder, from where they go to its stores as its report does."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from ubn_sweep.export.bundle import read_bundle
from ubn_sweep.records.folder import SweepFolder


def keep_bundles(folder: SweepFolder, bundles: Iterable[Path]) -> str | None:
    """Copies bundles there, each by its trial. None when it went well, else why not: the home may be read-only."""
    try:
        for path in bundles:
            shutil.copytree(path, folder.bundle(read_bundle(path).bundle.parents.trial), dirs_exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None
