"""`salvage`: a journal that a full disk or a broken one has damaged."""

from __future__ import annotations

from pathlib import Path

from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import console
from ubn_sweep.records.folder import find_sweep
from ubn_sweep.records.salvage import salvage
from ubn_sweep.sweep.running.lock import sweep_lock


def salvage_sweep(sweep: str, *, home: Path | None) -> None:
    """Keeps what is whole, of a sweep or of a final training's folder."""
    folder = find_sweep(sweep, home_folder(home))
    with sweep_lock(folder):
        done = salvage(folder.path)
    if done.aside is None:
        console.print(f"all {done.kept} records of {folder.name} are whole: nothing to do", soft_wrap=True)
        return
    console.print(
        f"{done.kept} records of {folder.name} are kept; {done.damaged} parts were no records, and "
        f"{done.orphaned} told of trials whose beginning is lost",
        soft_wrap=True,
    )
    console.print(f"damaged   {done.aside}", soft_wrap=True)
    console.print(f"next: [bold]ubn-sweep resume {folder.name}[/bold]", soft_wrap=True)
