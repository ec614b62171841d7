"""Names for the shell to complete."""

from __future__ import annotations

from pathlib import Path

from ubn_sweep.records.folder import default_home, existing_sweeps


def sweep_names(begin: str, home: Path | None) -> list[str]:
    """The sweeps of a home whose names begin so."""
    place = home if home is not None else default_home()
    return [name for name in existing_sweeps(place) if name.startswith(begin)]
