"""What is known of a process that died: what Ray says of it, and what it printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LOG_LINES = 12
"""Of a trial's log, in the reason why it failed."""
LINE_LENGTH = 300
BEFORE_BEGINNING = ("creation task", "internal error occurred while the worker was executing a task")
"""In what Ray says of a process that could not begin: the second where ubn_sweep cannot be imported."""


def error_of(trial: Any) -> str:
    """Ray's own text, of one of Tune's trials; nothing where there is none."""
    try:
        return Path(trial.error_file).read_text().strip()
    except (OSError, TypeError):
        return ""


def never_began(error: str) -> bool:
    """Whether the process could not even begin: its trial's task was never asked."""
    return any(words in error for words in BEFORE_BEGINNING)


def last_words(error: str) -> str:
    """The last line of what Ray tells of a process's death; what stands above it is Ray's own traceback."""
    lines = error.splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason is known")


def tail(log: bytes | None) -> str:
    """The end of a trial's log, or where the interpreter crashed: what follows there is a list of loaded modules."""
    if log is None:
        return ""
    lines = log.decode(errors="replace").splitlines()
    crashes = [number for number, line in enumerate(lines) if line.startswith("Fatal Python error")]
    shown = lines[crashes[-1] :][:LOG_LINES] if crashes else lines[-LOG_LINES:]
    return "\n".join(["what it printed last:", *(line[:LINE_LENGTH] for line in shown)]) if shown else ""
