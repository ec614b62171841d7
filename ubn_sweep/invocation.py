"""How people here start ubn-sweep: what is printed for them to paste works where they stand."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

NAME = "ubn-sweep"
_COMMAND = re.compile(rf"(?<![\w./-]){NAME}(?= [a-z])")


def as_typed(text: str) -> str:
    """A text whose commands, `ubn-sweep resume NAME`, start with what the shell finds."""
    return _COMMAND.sub(lambda _: invocation(), text)


def invocation() -> str:
    """`ubn-sweep` where the shell finds this installation by that name, else its path, else Python and the module."""
    script = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if found is not None and (not script.exists() or Path(found).resolve() == script.resolve()):
        return NAME
    if script.exists():
        return shlex.quote(str(_from_here(script)))
    return f"{shlex.quote(sys.executable)} -m ubn_sweep"


def _from_here(path: Path) -> Path:
    """A path below the current folder in short, any other whole."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
