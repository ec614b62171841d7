"""`map`: more trials where the best threshold may still be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ubn_sweep.commands.common import home_folder, spec_of
from ubn_sweep.commands.live import say
from ubn_sweep.commands.sweeping import resume_sweep
from ubn_sweep.errors import UserError
from ubn_sweep.records.folder import find_sweep


def add_to_map(
    sweep: str, *, add: int, assignments: Sequence[str], home: Path | None, as_json: bool, **running: Any
) -> None:
    """Goes on with a sweep as a map, whose next trials lie where the best may still be, and maps it.

    Raises:
        UserError: its sampler has no map, or it varies no such parameter.
    """
    folder = find_sweep(sweep, home_folder(home))
    search = spec_of(folder).search
    if search.sampler != "auto":
        raise UserError(
            f"`map` asks the sampler `auto`, but {folder.name} was swept with `{search.sampler}`: start a sweep with "
            "`search.goal: map`, which may --learn-from this one"
        )
    asked = [f"search.trials={search.trials + add}", "search.goal=map", "search.map.where=not_ruled_out"]
    if not as_json:
        say(f"{add} more trials of {folder.name}, where {search.map.over} is not ruled out")
    resume_sweep(
        sweep, retry_failed=False, assignments=(*asked, *assignments), home=home, as_json=as_json, **running
    )
