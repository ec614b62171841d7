"""What is written when a race is over: its numbers beside both sweeps' records, and the sweep's report anew."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from ubn_sweep.commands.common import map_sweep, spec_of
from ubn_sweep.commands.live import warn
from ubn_sweep.files import write_text
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.events import SweepStarted
from ubn_sweep.records.folder import SweepFolder
from ubn_sweep.records.journal import first_event
from ubn_sweep.sweep.running.copies import put_onto_parent_run
from ubn_sweep.sweep.spec.spec import SweepSpec

if TYPE_CHECKING:
    from ubn_sweep.landscape import LandscapeReport


def map_race(folder: SweepFolder, spec: SweepSpec) -> LandscapeReport:
    """Writes what the race found and, where its sweep lies beside it, maps that one: its report tells of the winner."""
    from ubn_sweep.landscape.confirmation import view_of

    assert spec.race is not None
    text = json.dumps(with_nulls(dataclasses.asdict(view_of(folder))), indent=1, allow_nan=False) + "\n"
    _put(folder, spec, text)
    of = SweepFolder(home=folder.home, name=spec.race.of)
    started = first_event(of.path) if of.journal.exists() else None
    if not isinstance(started, SweepStarted) or started.sweep_id != spec.race.of_id:
        return map_sweep(folder, spec)
    of_spec = spec_of(of)
    _put(of, of_spec, text)
    return map_sweep(of, of_spec)


def _put(folder: SweepFolder, spec: SweepSpec, text: str) -> None:
    write_text(folder.confirmation, text)
    why_not = put_onto_parent_run(folder, spec, [folder.confirmation])
    if why_not is not None:
        warn(
            f"{folder.confirmation.name} is not on the MLflow run of {folder.name} ({why_not}): "
            f"`ubn-sweep sync {folder.typed}` puts it there"
        )
