"""The user's own modules on their way to nodes that do not have them: a task beside a spec, a data set, a model."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from ubn_sweep.errors import UserError

INSTALLED = ("ubn_sweep", "trainables", "search_spaces")
"""What nodes have installed, even where it was imported from a folder of the user's here."""
LARGEST_FILE_BYTES = 2**20
"""Of a package's files other than modules: data travels in other ways."""
MOST_BYTES = 50 * 2**20


def own_modules(folders: Iterable[Path]) -> list[Path]:
    """The modules and packages, imported by now, that lie in the user's own folders and in no environment."""
    places = {folder.resolve() for folder in folders}
    found = set()
    for name, module in list(sys.modules.items()):
        if "." in name or name in (*INSTALLED, "__main__"):
            continue
        path = _path(getattr(module, "__spec__", None))
        if path is not None and path.parent in places and "site-packages" not in path.parts:
            found.add(path)
    return sorted(found)


def _path(spec: Any) -> Path | None:
    """A module's file, or a package's folder; None of what lies in neither."""
    if not isinstance(spec, ModuleSpec):  # some libraries' modules are something else
        return None
    folders = spec.submodule_search_locations
    if folders is not None:
        return Path(next(iter(folders))).resolve() if len(list(folders)) == 1 else None
    return Path(spec.origin).resolve() if spec.has_location and spec.origin is not None else None


def files_of(modules: Iterable[Path]) -> dict[str, str]:
    """Path -> SHA-256 of all files that travel.

    Raises:
        UserError: they are too many to be sent.
    """
    files = [file for module in modules for file in _files(module)]
    size = sum(file.stat().st_size for file in files)
    if size > MOST_BYTES:
        largest = max(files, key=lambda file: file.stat().st_size)
        raise UserError(
            f"{largest.parent}: the sweep's own modules have {size / 2**20:.0f} MB, and up to {MOST_BYTES >> 20} can "
            "be sent to nodes: keep the task in a smaller folder, or install it on all nodes"
        )
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stage(modules: Iterable[Path], into: Path) -> list[Path]:
    """Copies modules and packages into a folder, without what does not travel."""
    staged = []
    for module in modules:
        for file in _files(module):
            target = into / module.name / file.relative_to(module) if module.is_dir() else into / module.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        staged.append(into / module.name)
    return staged


def _files(module: Path) -> list[Path]:
    if module.is_file():
        return [module]
    return sorted(
        file
        for file in module.rglob("*")
        if file.is_file()
        and "__pycache__" not in file.parts
        and not any(part.startswith(".") for part in file.relative_to(module).parts)
        and (file.suffix == ".py" or file.stat().st_size <= LARGEST_FILE_BYTES)
    )
