"""`null`: how often a sweep's report would claim what it claims, were there nothing to be found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ubn_sweep.commands.bars import working
from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import console, duration, print_json, say
from ubn_sweep.landscape.claims import BUT, EQUAL, KINDS, NOTHING
from ubn_sweep.landscape.needs import THRESHOLD
from ubn_sweep.landscape.null import Null, bounds, is_too_often
from ubn_sweep.nulls.counting import Far, count
from ubn_sweep.records.folder import find_sweep

WORLDS = {NOTHING: "nothing matters", EQUAL: "all trainings are equally good"}


def count_null(
    sweep: str,
    *,
    sweeps: int,
    without: Sequence[str],
    seed: int,
    processes: int | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Replays a sweep where nothing matters, counts the report's claims, and keeps the counts beside it."""
    folder = find_sweep(sweep, home_folder(home))
    with working("replays") as at:

        def tell(far: Far) -> None:
            left = "" if far.left_s is None else f"about {duration(far.left_s)} left"
            at(left or "the first ones", far.done, far.of)

        null = count(
            folder,
            sweeps=sweeps,
            without=without if without else (THRESHOLD,),
            seed=seed,
            processes=len(os.sched_getaffinity(0)) if processes is None else processes,
            tell=tell,
        )
    rows = rows_of(null)
    if as_json:
        print_json({"sweep": folder.name, "null": str(folder.null), "seed": null.seed, "claims": rows})
        return
    console.print(_table(rows), soft_wrap=False)
    say(f"counts    {folder.null}")
    say("next: ", (f"ubn-sweep landscape {folder.typed}", "bold"), " says them beside each sentence")


def rows_of(null: Null) -> list[dict[str, Any]]:
    """A row for each kind of claim and world: how often it was made, the rate's 90% interval, if it is withheld."""
    rows = []
    for kind in KINDS.values():
        for world in null.worlds:
            made = (
                null.count_of(f"{kind.name}:{world.removeprefix(BUT)}", world)
                if world.startswith(BUT) and kind.about is None
                else null.count(kind.name, world)
            )
            is_error = world == kind.world or (
                world.startswith(BUT) and kind.about in (None, world.removeprefix(BUT)) and kind.by_key
            )
            if is_error:
                low, high = bounds(*made)
                rows.append(
                    {
                        "claim": kind.name,
                        "title": kind.title,
                        "world": world,
                        "times": made[0],
                        "replays": made[1],
                        "low": low,
                        "high": high,
                        "withheld": is_too_often(*made),
                    }
                )
    return rows


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("claim", "where it is an error", "made in", "rate, 90% interval", ""):
        table.add_column(title)
    for row in rows:
        world = WORLDS.get(row["world"], f"all but {row['world'].removeprefix(BUT)} matter")
        table.add_row(
            row["title"],
            world,
            f"{row['times']} of {row['replays']}",
            f"{row['low']:.0%} to {row['high']:.0%}",
            "withheld" if row["withheld"] else "",
        )
    return table
