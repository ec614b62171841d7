"""`confirm`: a sweep's finalists and plain BatchNorm race on fresh seeds, and what the winner is worth."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ubn_sweep.commands.common import home_folder, spec_of
from ubn_sweep.commands.live import console, print_json, prose, say
from ubn_sweep.commands.operations import Running, go_on, start
from ubn_sweep.commands.outcome import Outcome
from ubn_sweep.errors import InterruptedSweepError, NothingFoundError, UserError
from ubn_sweep.masking import masked
from ubn_sweep.plain_json import with_nulls
from ubn_sweep.records.folder import SweepFolder, find_sweep
from ubn_sweep.sweep.running import launch
from ubn_sweep.sweep.running.copies import written_uri
from ubn_sweep.sweep.spec.racing import Racer, baseline_config, race_spec
from ubn_sweep.sweep.spec.spec import SweepSpec

if TYPE_CHECKING:
    from ubn_sweep.landscape.confirmation import ConfirmedView, Raced

TOP, SEEDS = 5, 5
"""Configs that race, and rounds that choose among them, where nobody says how many; as many rounds are held out."""


def confirm_sweep(
    sweep: str,
    *,
    top: int | None,
    seeds: int | None,
    held_out: int | None,
    name: str | None,
    home: Path | None,
    as_json: bool,
    **running: Any,
) -> None:
    """Starts the race, or goes on with it; where it is over, tells what it found again.

    Raises:
        UserError: there is nothing to confirm, or the race of that name is another one.
        InterruptedSweepError: it ended early, and the same command goes on.
    """
    folder = find_sweep(sweep, home_folder(home))
    race = SweepFolder(home=folder.home, name=f"{folder.name}-confirm" if name is None else name)
    where = Running(**running)
    if launch.has_begun(race):
        _check_same(folder, race, top=top, seeds=seeds, held_out=held_out)
        outcome = go_on(race, running=where)
    else:
        spec = _new_race(folder, race.name, top=top, seeds=seeds, held_out=held_out)
        if not as_json:
            _announce(spec)
        outcome = start(spec, home=folder.home, name=race.name, or_resume=True, running=where)
    _tell(folder, race, outcome, as_json=as_json)


# -------------------------------------------------------------------- the race


def _new_race(
    folder: SweepFolder, name: str, *, top: int | None, seeds: int | None, held_out: int | None
) -> SweepSpec:
    from ubn_sweep.export.finalists import finalists_of
    from ubn_sweep.landscape.baselines import BATCH_NORM

    found, spec = finalists_of(folder, TOP if top is None else top), spec_of(folder)
    racers = [
        Racer(name=one.name, config=one.config, trial=one.trial, baseline=one.is_batch_norm)
        for one in found.chosen
    ]
    # Of several configs of plain BatchNorm, where the sweep varied nothing else, the first is the baseline.
    seen = next((place for place, racer in enumerate(racers) if racer.baseline), None)
    racers = [dataclasses.replace(racer, baseline=place == seen) for place, racer in enumerate(racers)]
    if seen is None:
        config = baseline_config(spec, BATCH_NORM)
        if found.batch_norm is not None:
            one = found.batch_norm
            racers.append(Racer(name=one.name, config=one.config, trial=one.trial, baseline=True))
        elif config is not None:
            racers.append(Racer(name=BATCH_NORM, config=config, baseline=True))
    choosing = SEEDS if seeds is None else seeds
    return race_spec(
        spec,
        found.sweep_id,
        racers,
        name=name,
        choosing=choosing,
        held_out=choosing if held_out is None else held_out,
    )


def _check_same(
    folder: SweepFolder, race: SweepFolder, *, top: int | None, seeds: int | None, held_out: int | None
) -> None:
    """Refuses what would be another race under the same name."""
    there, of = spec_of(race).race, launch.first_started(folder)
    if there is None or there.of_id != of.sweep_id:
        raise UserError(
            f"--name: `{race.name}` is another sweep, and no race of {folder.name}: choose another name"
        )
    runners = sum(one.trial is not None and not one.baseline for one in there.entrants)
    given = {
        "--top": (top, runners),
        "--seeds": (seeds, there.choosing),
        "--held-out": (held_out, len(there.rounds) - there.choosing),
    }
    for option, (asked, recorded) in given.items():
        if asked is not None and asked != recorded:
            raise UserError(
                f"{option}: {race.name} was begun with {recorded}, but got {asked}: leave it out to go on, or give "
                "another --name for a race of its own"
            )


def _announce(spec: SweepSpec) -> None:
    race = spec.race
    assert race is not None
    names = ", ".join(one.name for one in race.entrants)
    held_out = len(race.rounds) - race.choosing
    prose(
        f"{spec.name}: {names}, each with {race.choosing} fresh seeds and splits to choose by, then the winner "
        f"and the baseline with {held_out} others: {race.most_trainings} trainings of {spec.base.training.epochs} "
        "epochs at most"
    )


# -------------------------------------------------------------------- what came of it


def _tell(folder: SweepFolder, race: SweepFolder, outcome: Outcome, *, as_json: bool) -> None:
    from ubn_sweep.landscape.confirmation import confirmed, view_of

    if outcome.report is None:
        raise _ended_early(folder, outcome)
    view = view_of(race)
    if as_json:
        print_json(
            {
                "sweep": folder.name,
                "race": race.name,
                **with_nulls(dataclasses.asdict(view)),
                "sentence": confirmed(view),
                "trials": outcome.result.counts,
                "tracking_uri": masked(written_uri(outcome.result.spec, race)),
                "report": str(outcome.report.html),
            }
        )
    else:
        console.print(_table(view), soft_wrap=False)
        prose(confirmed(view))
        say(f"report    {outcome.report.html}")
        say("next: ", (f"ubn-sweep export {folder.typed} --top 1 --out configs", "bold"))
    if view.winner is None:
        raise NothingFoundError(confirmed(view))


def _table(view: ConfirmedView) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("config", "rounds", "n", view.metric.label, "90% interval", ""):
        table.add_column(column)
    for one in view.entrants:
        left = "" if one.left_after is None else f"left after round {one.left_after}: {one.why}"
        _row(table, view, one, "choosing", left)
    if view.winner is not None:
        held = [(view.winner.name, view.winner.worth)]
        if view.winner.against is not None:
            held.append((view.winner.against.name, view.winner.against.worth))
        for name, worth in held:
            table.add_row(
                name, "held out", str(worth.n), view.metric.text(worth.mean), _bounds(view, worth), ""
            )
    return table


def _row(table: Table, view: ConfirmedView, one: Raced, rounds: str, left: str) -> None:
    if one.worth is None:
        table.add_row(one.name, rounds, "0", "", "", left)
    else:
        text = view.metric.text(one.worth.mean)
        table.add_row(one.name, rounds, str(one.worth.n), text, _bounds(view, one.worth), left)


def _bounds(view: ConfirmedView, worth: Any) -> str:
    if worth.low is None:
        return ""
    return f"{view.metric.text(worth.low)} to {view.metric.text(worth.high)}"


def _ended_early(folder: SweepFolder, outcome: Outcome) -> InterruptedSweepError:
    result = outcome.result
    go_on_by = f"`ubn-sweep confirm {folder.typed}`"
    if result.sweep != f"{folder.name}-confirm":
        go_on_by = f"`ubn-sweep confirm {folder.typed} --name {result.sweep}`"
    if result.signal is None and result.stopped is not None:
        return InterruptedSweepError(
            f"stopped: {result.stopped}: mend that, then `ubn-sweep resume {result.typed} --retry-failed`",
            code=1,
        )
    code = 128 + (result.signal if result.signal is not None else signal.SIGINT)
    return InterruptedSweepError(f"{result.word}; {go_on_by} goes on with it", code=code)
