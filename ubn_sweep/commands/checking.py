"""`validate` and `preview`: what a spec means and costs, before anything starts."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ubn_sweep import schema
from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import console, print_json, say
from ubn_sweep.dotted import value_at
from ubn_sweep.masking import masked, masked_values
from ubn_sweep.records.folder import find_sweep
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.explaining import preview
from ubn_sweep.sweep.explaining.describe import describe_space, first_trials, rung_epochs, show, stop_rules
from ubn_sweep.sweep.running import launch
from ubn_sweep.sweep.spec.loading import load_spec, load_spec_with_origins
from ubn_sweep.sweep.spec.spec import SweepSpec

MOST_SHOWN = 10
"""Of the trials that come before the sampler's own."""


def validate_spec(path: Path, assignments: Sequence[str], *, as_json: bool) -> None:
    """Checks a spec, its data and its task included, and shows what it says."""
    spec, origins = load_spec_with_origins(path, assignments)
    launch.check_runnable(spec)
    if as_json:
        print_json(
            {
                "valid": True,
                "spec": masked_values(schema.to_plain(spec)),
                "order": [key for key, _, _ in describe_space(spec)],
                "rungs": rung_epochs(spec),
                "origins": masked_values(origins),
            }
        )
        return
    say((spec.name, "bold"), f"  {spec.description}")
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("varied", "values", "only where"):
        table.add_column(name)
    for row in describe_space(spec):
        table.add_row(*row)
    console.print(table, soft_wrap=False)
    rungs = ", ".join(map(str, rung_epochs(spec)))
    say(
        f"{spec.search.trials} trials by the sampler `{spec.search.sampler}` from seed {spec.search.seed}; "
        f"compared after epochs {rungs}"
    )
    if rules := stop_rules(spec):
        say(f"ends before that at {rules}")
    first = first_trials(spec)
    for name, params in first[:MOST_SHOWN]:
        say(f"first, {name}: " + ", ".join(f"{key}={show(value)}" for key, value in params.items()))
    if len(first) > MOST_SHOWN:
        say(f"and {len(first) - MOST_SHOWN} more before the sampler's own")
    if len(set(origins.values())) > 1:
        _tell_origins(spec, origins)
    changed = "".join(f" --set {shlex.quote(assignment)}" for assignment in assignments)
    say("\nvalid. Start it with ", (f"ubn-sweep run {shlex.quote(str(path))}{changed}", "bold"))


def _tell_origins(spec: SweepSpec, origins: dict[str, str]) -> None:
    """The keys that were written, as they are resolved, below the file or option that each came from."""
    values = masked_values(schema.to_plain(spec))
    for origin in dict.fromkeys(origins.values()):
        say("\n", ("from", "dim"), f" {masked(origin)}")
        for key in [key for key, owner in origins.items() if owner == origin]:
            say(f"  {key}: {_written(values, key)}")


def _written(values: dict[str, Any], key: str) -> str:
    """The value of a key of the spec, as YAML writes it on one line; the space's keys have dots of their own."""
    section, _, rest = key.partition(".")
    if section == "space":
        parameter = values["space"][rest]
        unset = [name for name, value in parameter.items() if value is None or value is False or value == {}]
        return schema.on_one_line({name: parameter[name] for name in parameter if name not in unset})
    return schema.on_one_line(value_at(values, "task" if key == "trainable" else key))


def preview_sweep(
    spec_path: Path,
    assignments: Sequence[str],
    *,
    curves_of: tuple[str, ...],
    workers: int | None,
    epoch_s: float | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Says what a sweep will cost."""
    spec = load_spec(spec_path, assignments)
    curves = [
        curve
        for name in curves_of
        for curve in preview.curves_of(read_journal(find_sweep(name, home_folder(home)).path), spec.objective)
    ]
    at_once = (
        workers
        or spec.resources.max_concurrent
        or max((os.cpu_count() or 1) // spec.resources.cpus_per_trial, 1)
    )
    cost = preview.expected_cost(spec, workers=at_once, curves=curves, epoch_s=epoch_s)
    if as_json:
        print_json(dataclasses.asdict(cost))
        return
    say(
        (spec.name, "bold"),
        f": {cost.trials} trials, {cost.workers} at once (90% of the replays in brackets)",
    )
    basis = (
        f"{cost.curves} curves of earlier sweeps"
        if cost.basis == "curves"
        else "the model in docs/spec.md: no curves given"
    )
    say(
        f"epochs      {_spread(cost.epochs, '.0f')}, {cost.epochs.mean / cost.epochs_without_stopping:.0%} "
        f"of the {cost.epochs_without_stopping} without early stopping"
    )
    say(f"completed   {_spread(cost.completed, '.0f')} of the trials")
    for name, hours in (
        ("trial hours", cost.trial_hours),
        ("GPU hours", cost.gpu_hours),
        ("wall hours", cost.wall_hours),
    ):
        if hours is not None:
            say(f"{name:<11} {_spread(hours, '.2f')}")
    say(f"rests on {basis}")
    if cost.trial_hours is None:
        say("hours are not known: give --epoch-seconds, or an earlier sweep by --curves-of")


def _spread(spread: preview.Spread, form: str) -> str:
    return f"{spread.mean:{form}} ({spread.low:{form}} to {spread.high:{form}})"
