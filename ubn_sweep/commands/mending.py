"""`salvage`: a journal that a full disk or a broken one has damaged."""

from __future__ import annotations

from pathlib import Path

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import say
from ubn_sweep.records.folder import find_sweep
from ubn_sweep.records.salvage import salvage
from ubn_sweep.sweep.running.lock import sweep_lock


def salvage_sweep(sweep: str, *, home: Path | None) -> None:
    """Keeps what is whole, of a sweep or of a final training's folder."""
    folder = find_sweep(sweep, home_folder(home))
    with sweep_lock(folder):
        done = salvage(folder.path)
    if done.aside is None:
        say(f"all {done.kept} records of {folder.name} are whole: nothing to do")
        return
    say(
        f"{done.kept} records of {folder.name} are kept; {done.damaged} parts were no records, and "
        f"{done.orphaned} told of trials whose beginning is lost",
    )
    say(f"damaged   {done.aside}")
    say("next: ", (f"ubn-sweep resume {folder.typed}", "bold"))
