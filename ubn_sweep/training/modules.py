"""Importing a module that a user names in a spec, and telling in one line why that failed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ubn_sweep.errors import UserError


def import_named(name: str, folders: Sequence[str], *, key: str, places: str) -> ModuleType:
    """The module of a name, which lies in one of the folders or is installed.

    Args:
        key: Where the spec names it, for the beginning of a message.
        places: Where it may lie, in words, for the remedy.

    Raises:
        UserError: there is no such module, or it cannot be imported.
    """
    for folder in folders:
        if folder not in sys.path:
            sys.path.append(folder)  # behind all others: a file there hides no library
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise UserError(f"{key}: `{name}` is no module that can be imported: it must lie in {places}")
    try:
        return importlib.import_module(name)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{key}: `{name}` cannot be imported ({type(error).__name__}: {reason}; {_place(error)}): mend it"
        ) from error


def _place(error: Exception) -> str:
    """File and line of an error, in the module itself where Python's own machinery raised it."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{Path(error.filename).name} line {error.lineno}"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")
    ]
    return f"{Path(frames[-1].filename).name} line {frames[-1].lineno}"
