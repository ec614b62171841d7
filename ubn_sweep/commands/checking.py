"""`validate` and `preview`: what a spec means and costs, before anything starts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ubn_sweep import schema
from ubn_sweep.commands.common import home_folder
from ubn_sweep.commands.live import console, print_json
from ubn_sweep.records.folder import find_sweep
from ubn_sweep.records.journal import read_journal
from ubn_sweep.sweep.explaining import preview
from ubn_sweep.sweep.explaining.describe import describe_space, first_trials, rung_epochs, show
from ubn_sweep.sweep.running import launch
from ubn_sweep.sweep.spec.loading import load_spec


def validate_spec(path: Path, assignments: Sequence[str], *, as_json: bool) -> None:
    """Checks a spec, its data and its task included, and shows what it says."""
    spec = load_spec(path, assignments)
    launch.check_runnable(spec)
    if as_json:
        print_json(
            {
                "valid": True,
                "spec": schema.to_plain(spec),
                "order": [key for key, _, _ in describe_space(spec)],
                "rungs": rung_epochs(spec),
            }
        )
        return
    console.print(f"[bold]{spec.name}[/bold]  {spec.description}")
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("varied", "values", "only where"):
        table.add_column(name)
    for row in describe_space(spec):
        table.add_row(*row)
    console.print(table)
    rungs = ", ".join(map(str, rung_epochs(spec)))
    console.print(
        f"{spec.search.trials} trials by the sampler `{spec.search.sampler}` from seed {spec.search.seed}; "
        f"compared after epochs {rungs}"
    )
    for name, params in first_trials(spec):
        console.print(f"first, {name}: " + ", ".join(f"{key}={show(value)}" for key, value in params.items()))
    console.print(f"\nvalid. Start it with [bold]ubn-sweep run {path}[/bold]")


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
    cost = preview.preview(spec, workers=at_once, curves=curves, epoch_s=epoch_s)
    if as_json:
        print_json(dataclasses.asdict(cost))
        return
    console.print(
        f"[bold]{spec.name}[/bold]: {cost.trials} trials, {cost.workers} at once (90% of the replays in brackets)"
    )
    basis = (
        f"{cost.curves} curves of earlier sweeps"
        if cost.basis == "curves"
        else "the model in docs/spec.md: no curves given"
    )
    console.print(
        f"epochs      {_spread(cost.epochs, '.0f')}, {cost.epochs.mean / cost.epochs_without_stopping:.0%} "
        f"of the {cost.epochs_without_stopping} without early stopping"
    )
    console.print(f"completed   {_spread(cost.completed, '.0f')} of the trials")
    for name, hours in (
        ("trial hours", cost.trial_hours),
        ("GPU hours", cost.gpu_hours),
        ("wall hours", cost.wall_hours),
    ):
        if hours is not None:
            console.print(f"{name:<11} {_spread(hours, '.2f')}")
    console.print(f"rests on {basis}")
    if cost.trial_hours is None:
        console.print("hours are not known: give --epoch-seconds, or an earlier sweep by --curves-of")


def _spread(spread: preview.Spread, form: str) -> str:
    return f"{spread.mean:{form}} ({spread.low:{form}} to {spread.high:{form}})"
