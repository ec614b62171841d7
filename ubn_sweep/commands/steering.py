"""`list`, `status`, `stop` and `pause`: sweeps seen and told from any terminal."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from ubn_sweep.commands.common import home_folder, spec_of
from ubn_sweep.commands.live import console, duration, print_json, say
from ubn_sweep.commands.looking import facts_of
from ubn_sweep.errors import UserError
from ubn_sweep.masking import masked
from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.folder import SweepFolder, existing_sweeps, find_sweep
from ubn_sweep.records.journal import first_event
from ubn_sweep.sweep.running.control import order_stop, order_trial_stop
from ubn_sweep.sweep.running.copies import written_uri
from ubn_sweep.sweep.running.presence import is_alive

MOST_SHOWN = 8
"""Of the trials on a front."""
PATIENCE_S = 60.0
"""How long `stop` waits for the sweep's process to obey."""


def list_sweeps(home: Path | None, *, as_json: bool) -> None:
    """The sweeps of a home, oldest first."""
    place = home_folder(home)
    folders = [SweepFolder(home=place, name=name) for name in existing_sweeps(place)]
    found = [facts_of(folder) for folder in folders if isinstance(first_event(folder.path), SweepStarted)]
    if as_json:
        print_json({"home": str(place), "sweeps": found})
        return
    if not found:
        say(f"there is no sweep in {place} yet: start one with `ubn-sweep run SPEC`")
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("sweep", "state", "trials", "best", "last record"):
        table.add_column(name)
    for facts in found:
        last = f"{datetime.fromtimestamp(facts['last_s']):%Y-%m-%d %H:%M}"
        table.add_row(
            facts["sweep"], facts["state"], f"{facts['ended']}/{facts['total']}", facts["best_text"], last
        )
    console.print(table, soft_wrap=False)


def sweep_status(sweep: str, *, home: Path | None, as_json: bool) -> None:
    """How one sweep stands, and where its things are."""
    folder = find_sweep(sweep, home_folder(home))
    facts = facts_of(folder)
    uri = masked(written_uri(spec_of(folder), folder))
    if as_json:
        report = str(folder.report) if folder.report.exists() else None
        print_json({**facts, "folder": str(folder.path), "report": report, "tracking_uri": uri})
        return
    counts = ", ".join(f"{n} {status}" for status, n in facts["trials"].items() if n)
    left = f", about {duration(facts['left_s'])} left" if facts["left_s"] is not None else ""
    say((facts["sweep"], "bold"), f": {facts['state']}{left}")
    say(f"trials    {facts['ended']}/{facts['total']} ({counts or 'none yet'}), {facts['epochs']} epochs")
    if facts.get("front"):
        _tell_front(facts["front"])
    elif facts["best"] is not None:
        say(f"best      {facts['best_text']} {facts['best']['metric']} in trial {facts['best']['trial']}")
    say(f"folder    {folder.path}")
    if folder.report.exists():
        say(f"report    {folder.report}")
    say(f"MLflow    {uri}")
    if facts["ended_by"]:
        say(f"ended by a rule: {facts['ended_by']}")
    if facts["state"] in ("interrupted", "paused"):
        say("next: ", (f"ubn-sweep resume {folder.typed}", "bold"))


def _tell_front(front: list[dict[str, Any]]) -> None:
    """Of two objectives, the trials that none beats in both."""
    for place, one in enumerate(front[:MOST_SHOWN]):
        names = f" ({', '.join(one['scores'])})" if place == 0 else ""
        say(f"{'' if place else 'front':10}{one['text']} in trial {one['trial']}{names}")
    if len(front) > MOST_SHOWN:
        say(f"{'':10}and {len(front) - MOST_SHOWN} more")


def stop_sweep(sweep: str, *, trial: int | None, word: str, home: Path | None) -> None:
    """Tells a sweep's process to end, resumable, and waits until it has; or to end one trial.

    Raises:
        UserError: there is nothing to stop, the folder cannot be written, or the process does not obey.
    """
    folder = find_sweep(sweep, home_folder(home))
    facts = facts_of(folder)
    if facts["state"] != "running" and trial is None:
        raise UserError(f"{folder.name}: is not running, but {facts['state']}: there is nothing to stop")
    try:
        if trial is not None:
            _stop_trial(folder, trial, facts)
            return
        order_stop(folder, word)
    except OSError as error:
        raise UserError(
            f"{folder.control}: cannot be written ({error.strerror}): stop it as a user who may write there"
        ) from error
    deadline_s = time.monotonic() + PATIENCE_S
    while is_alive(folder.driver):
        if time.monotonic() > deadline_s:
            raise UserError(
                f"{folder.name}: has not stopped within {PATIENCE_S:.0f} s; the order stands: look again with "
                f"`ubn-sweep status {folder.typed}`"
            )
        time.sleep(0.2)
    say(f"{folder.name} is {word}; go on with it by ", (f"ubn-sweep resume {folder.typed}", "bold"))


def _stop_trial(folder: SweepFolder, trial: int, facts: dict[str, Any]) -> None:
    if trial >= facts["created"]:
        raise UserError(
            f"--trial: {folder.name} has made {facts['created']} trials so far, from 0 on, but got {trial}: "
            "name one of them"
        )
    order_trial_stop(folder, trial)
    when = "with its next report" if facts["state"] == "running" else "when the sweep is resumed"
    say(f"trial {trial} of {folder.name} ends {when}, unless it has ended by itself")
